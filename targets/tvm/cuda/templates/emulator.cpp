// A stand-in for NVIDIA's driver that executes the kernels on the CPU; see emulator.h.
#include "emulator.h"

#include <stdlib.h>

// CUDA takes alignas() behind __shared__, C++ does not.
#define alignas(n) __attribute__((aligned(n)))
#include "kernels.cu"
#undef alignas

struct Kernel {
  const char *name;
  void (*call)(void **);
  bool barriers;
  int arguments;
};
#include "emulated_kernels.h"
#ifdef ACTC_CHECKED
#include "emulated_buffers.h"
#endif

namespace {

struct Recorded {
  const Kernel *kernel;
  unsigned blocks, threads;
  std::vector<uint64_t> values;
};
struct Graph {
  std::vector<Recorded> launches;
};
Graph *capturing = nullptr;

#ifdef ACTC_CHECKED
size_t arena_size = 0;  // of the last allocation, behind the constants

// The buffers of the next launch, in the order of `extents`.
void begin_launch(const Kernel *kernel, void **arguments) {
  static size_t launch = 0;
  const size_t batch = actc_sample ? (arena_size - actc_fixed) / actc_sample : 0;
  std::vector<checker::Region> regions;
  const Extent *extent = extents + first_extent[launch++ % launch_total];
  for (int i = 0; i < kernel->arguments; ++i, ++extent) {
    if (!extent->is_buffer) continue;
    const uintptr_t begin = *static_cast<uint64_t *>(arguments[i]);
    regions.push_back({begin, begin + extent->fixed + extent->sample * batch});
  }
  checker::shared_memory(__start_actc_shared, __stop_actc_shared);
  checker::begin_launch(kernel->name, regions);
}
#endif

int execute(const Kernel *kernel, unsigned blocks, unsigned threads, void **arguments) {
#ifdef ACTC_CHECKED
  begin_launch(kernel, arguments);
#endif
  blockDim = {threads, 1, 1};
  emulation::entry = kernel->call;
  emulation::arguments = arguments;
  emulation::deadlock = emulation::failed = false;
  if (_setjmp(emulation::failing)) return 716;
  for (const unsigned block : emulation::ordered(blocks)) {
    blockIdx = {block, 0, 0};
    if (kernel->barriers) {
      emulation::run_block(threads);
      if (emulation::deadlock) return 719;
      continue;
    }
    for (const unsigned thread : emulation::ordered(threads)) {
      emulation::at_thread(thread);
      kernel->call(arguments);
    }
  }
#ifdef ACTC_CHECKED
  checker::end_launch();
  if (*checker::found()) return 717;
#endif
  return 0;
}

int replay(const Graph *graph) {
  for (const Recorded &launch : graph->launches) {
    std::vector<uint64_t> values = launch.values;
    std::vector<void *> arguments;
    for (uint64_t &value : values) arguments.push_back(&value);
    const int status = execute(launch.kernel, launch.blocks, launch.threads, arguments.data());
    if (status) return status;
  }
  return 0;
}

}  // namespace

extern "C" {

int cuInit(unsigned) {
  const char *order = getenv("ACTC_CUDA_ORDER");  // "forwards", "backwards" or a seed
  if (!order || !strcmp(order, "forwards")) return 0;
  if (!strcmp(order, "backwards")) return emulation::order = emulation::BACKWARDS, 0;
  emulation::order = emulation::SHUFFLED;
  emulation::chance.seed(static_cast<unsigned>(strtoul(order, nullptr, 10)));
  return 0;
}
int cuDeviceGet(int *device, int ordinal) { return *device = ordinal, ordinal ? 101 : 0; }
int cuDevicePrimaryCtxRetain(void **context, int) { return *context = &capturing, 0; }
int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
int cuCtxSetCurrent(void *) { return 0; }
int cuModuleLoadData(void **module, const void *image) {
  const uint32_t magic = 0xBA55ED50;  // of a fat binary
  *module = const_cast<void *>(image);
  return memcmp(image, &magic, sizeof magic) ? 200 : 0;
}
int cuModuleUnload(void *) { return 0; }
int cuModuleGetFunction(void **function, void *, const char *name) {
  for (const Kernel &kernel : kernels)
    if (!strcmp(kernel.name, name)) return *function = const_cast<Kernel *>(&kernel), 0;
  return 500;
}
int cuMemAlloc_v2(unsigned long long *address, size_t size) {
  void *memory = nullptr;
  if (posix_memalign(&memory, 256, size)) return 2;
  memset(memory, 0xA5, size);  // what nobody wrote is noticed
  *address = reinterpret_cast<uintptr_t>(memory);
#ifdef ACTC_CHECKED
  checker::memories().push_back({*address, *address + size});
  arena_size = size;
#endif
  return 0;
}
int cuMemFree_v2(unsigned long long address) {
#ifdef ACTC_CHECKED
  for (auto &memory : checker::memories())
    if (memory.begin == address) memory.end = memory.begin;
#endif
  return free(reinterpret_cast<void *>(address)), 0;
}
int cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t size, void *) {
  return memcpy(reinterpret_cast<void *>(to), from, size), 0;
}
int cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t size, void *) {
  return memcpy(to, reinterpret_cast<void *>(from), size), 0;
}
int cuStreamCreate(void **stream, unsigned) { return *stream = &capturing, 0; }
int cuStreamDestroy_v2(void *) { return 0; }
int cuStreamSynchronize(void *) { return 0; }
int cuStreamBeginCapture_v2(void *, int) { return capturing = new Graph, 0; }
int cuStreamEndCapture(void *, void **graph) {
  *graph = capturing;
  capturing = nullptr;
  return 0;
}
int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long) {
  return *exec = new Graph(*static_cast<Graph *>(graph)), 0;
}
int cuGraphLaunch(void *exec, void *) { return replay(static_cast<Graph *>(exec)); }
int cuGraphExecDestroy(void *exec) { return delete static_cast<Graph *>(exec), 0; }
int cuGraphDestroy(void *graph) { return delete static_cast<Graph *>(graph), 0; }
int cuGetErrorString(int status, const char **text) {
#ifdef ACTC_CHECKED
  if (status == 717) return *text = checker::found(), 0;
#endif
  *text = status == 716   ? "an index or a shape in the data that the model does not have"
          : status == 719   ? "a barrier that not all threads reach"
          : status == 500 ? "the kernel was not found"
          : status == 200 ? "not a fat binary"
                          : "error of the emulation";
  return 0;
}
int cuLaunchKernel(void *function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned,
                   unsigned, unsigned, void *, void **arguments, void **) {
  const Kernel *kernel = static_cast<Kernel *>(function);
  if (!capturing) return execute(kernel, blocks, threads, arguments);
  Recorded launch{kernel, blocks, threads, {}};
  for (int i = 0; i < kernel->arguments; ++i)
    launch.values.push_back(*static_cast<uint64_t *>(arguments[i]));
  capturing->launches.push_back(launch);
  return 0;
}

}  // extern "C"
