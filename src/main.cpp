#include "nsrelay/cli/command_line.hpp"

int main(int argc, char** argv) {
  return nsrelay::run_command_line(argc, argv);
}
