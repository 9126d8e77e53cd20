// What the emulation tells checker.cpp.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <vector>

namespace checker {

struct Region {
  uintptr_t begin, end;
};

// All memory of the device; filled by whoever allocates.
std::vector<Region> &memories();
// A launch begins; `arguments` are the buffers that the kernel was given.
void begin_launch(const char *kernel, const std::vector<Region> &arguments);
void end_launch();
// The thread that runs from now on; `epoch` counts the block's barriers.
void at_thread(uint32_t block, uint32_t thread, uint32_t epoch);
// Where the emulation keeps shared memory.
void shared_memory(const char *begin, const char *end);
// The first problem of all launches, or "".
const char *found();

}  // namespace checker
