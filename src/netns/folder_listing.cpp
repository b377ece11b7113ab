#include "nsrelay/netns/folder_listing.hpp"

namespace nsrelay {

FolderListing::FolderListing(std::string folder)
    : folder_(std::move(folder)), directory_(::opendir(folder_.c_str())) {}

std::optional<std::string> FolderListing::next() {
  const dirent* item = directory_ ? ::readdir(directory_.get()) : nullptr;
  if (item == nullptr)
    return std::nullopt;
  return item->d_name;
}

}  // namespace nsrelay
