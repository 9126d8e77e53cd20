// Finds races, misaligned and foreign accesses of kernels that run in the emulation.
//
// kernels.cu is compiled with -fsanitize=thread, which calls a function before every access of
// memory; these are those functions (no run-time library is linked). Two accesses of one byte
// conflict if one of them writes, they are of different threads, and no barrier of the block lies
// between them: nothing else orders threads of a launch, neither the order in which the emulation
// runs them nor a shuffle. As in a detector of happens-before races, each byte remembers its last
// write and the reads since.
#include "checker.h"

#include <stdio.h>
#include <string.h>

#include <unordered_map>
#include <vector>

namespace checker {

namespace {

struct Access {
  uint32_t block = 0, thread = 0, epoch = 0;
  bool there = false;
};
struct Byte {
  uint32_t launch = 0;
  Access write, read;
  bool many = false;    // several threads have read it since the last barrier
  bool blocks = false;  // threads of several blocks have read it
  bool filled = false;  // shared memory: this block has written it
};

char text[256] = "";
uint32_t launch = 0;
Access self;
std::unordered_map<uintptr_t, Byte> bytes;
std::vector<Region> regions;
const char *shared_begin = nullptr, *shared_end = nullptr;
const char *kernel = nullptr;  // that runs

bool is_shared(uintptr_t at) {
  return at >= reinterpret_cast<uintptr_t>(shared_begin) &&
         at < reinterpret_cast<uintptr_t>(shared_end);
}

bool is_device(uintptr_t at) {
  for (const Region &memory : memories())
    if (at >= memory.begin && at < memory.end) return true;
  return false;
}

void report(const char *what, uintptr_t at, const Access &other) {
  if (text[0]) return;
  char with[80] = "";
  if (other.there)
    snprintf(with, sizeof with, " and thread %u of block %u", other.thread, other.block);
  const char *where = "";
  if (is_shared(at)) where = " in shared memory";
  if (is_device(at)) where = " in global memory";
  snprintf(text, sizeof text, "%s%s: kernel %s, thread %u of block %u%s", what, where, kernel,
           self.thread, self.block, with);
}

// Whether no barrier lies between an earlier access and one of the current thread.
bool unordered(const Access &earlier) {
  if (!earlier.there) return false;
  if (earlier.block != self.block) return true;
  return earlier.thread != self.thread && earlier.epoch == self.epoch;
}

Byte &byte_at(uintptr_t at) {
  Byte &byte = bytes[at];
  // A block's shared memory is its own: what another block did there is not seen.
  const bool foreign = is_shared(at) && byte.launch == launch &&
                       ((byte.write.there && byte.write.block != self.block) ||
                        (byte.read.there && byte.read.block != self.block));
  if (byte.launch != launch || foreign) {
    byte = Byte();
    byte.launch = launch;
  }
  return byte;
}

void note(uintptr_t at, bool writes) {
  Byte &byte = byte_at(at);
  if (unordered(byte.write))
    report(writes ? "two writes" : "a read of another's write", at, byte.write);
  if (writes) {
    if (unordered(byte.read)) report("a write of what another reads", at, byte.read);
    if (byte.blocks || (byte.many && byte.read.epoch == self.epoch))
      report("a write of what others read", at, Access());
    byte.write = self;
    byte.read.there = byte.many = byte.blocks = false;
    byte.filled = true;
    return;
  }
  if (is_shared(at) && !byte.filled) report("a read of what nobody has written", at, Access());
  byte.blocks |= byte.read.there && byte.read.block != self.block;
  byte.many = unordered(byte.read) || (byte.many && byte.read.epoch == self.epoch);
  byte.read = self;
}

bool is_within(uintptr_t at, size_t size) {
  for (const Region &region : regions)
    if (at >= region.begin && at + size <= region.end) return true;
  return false;
}

}  // namespace

std::vector<Region> &memories() {
  static std::vector<Region> all;
  return all;
}

void begin_launch(const char *name, const std::vector<Region> &arguments) {
  ++launch;
  kernel = name;
  regions = arguments;
}
void end_launch() { kernel = nullptr; }
void at_thread(uint32_t block, uint32_t thread, uint32_t epoch) {
  self = {block, thread, epoch, true};
}
void shared_memory(const char *begin, const char *end) { shared_begin = begin, shared_end = end; }
const char *found() { return text; }

static void access(const void *address, size_t size, bool writes) {
  if (!kernel) return;  // copies of the driver
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  const bool shared = is_shared(at);
  if (!shared && !is_device(at)) return;  // registers and the emulation's own
  if (size <= 16 && at % size) report("a misaligned access", at, Access());
  if (shared ? !is_shared(at + size - 1) : !is_within(at, size))
    return report("an access beyond the kernel's buffers", at, Access());
  for (size_t i = 0; i < size; ++i) note(at + i, writes);
}

static void misuse(const char *what, const void *at) {
  if (kernel) report(what, reinterpret_cast<uintptr_t>(at), Access());
}

}  // namespace checker

// Of -fsanitize=alignment and bounds: a vector that begins between two, an index beyond an array.
extern "C" void __ubsan_handle_type_mismatch_v1(void *, void *at) {
  checker::misuse("a misaligned access", at);
}
extern "C" void __ubsan_handle_out_of_bounds(void *, void *) {
  checker::misuse("an index beyond its array", nullptr);
}

#define ACCESS(size)                                                                        \
  extern "C" void __tsan_read##size(void *p) { checker::access(p, size, false); }           \
  extern "C" void __tsan_write##size(void *p) { checker::access(p, size, true); }           \
  extern "C" void __tsan_unaligned_read##size(void *p) { checker::access(p, size, false); } \
  extern "C" void __tsan_unaligned_write##size(void *p) { checker::access(p, size, true); }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void *, void *) {}
void __tsan_read_range(void *p, size_t size) { checker::access(p, size, false); }
void __tsan_write_range(void *p, size_t size) { checker::access(p, size, true); }
}
