#pragma once

#include <dirent.h>

#include <memory>
#include <optional>
#include <string>

namespace nsrelay {

/// The names in a folder, one by one, so that a long one can be read in slices. What is there from
/// the first to the last is listed; what comes or goes meanwhile may be (readdir(3)).
class FolderListing {
 public:
  /// Of an absent folder nothing is listed.
  explicit FolderListing(std::string folder);

  [[nodiscard]] const std::string& folder() const { return folder_; }

  /// Nothing when all have been listed.
  std::optional<std::string> next();

 private:
  struct Close {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };

  std::string folder_;
  std::unique_ptr<DIR, Close> directory_;
};

}  // namespace nsrelay
