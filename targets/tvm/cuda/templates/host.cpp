// The host part of a network on a GPU: loads the kernels, keeps constants and buffers on the
// device and launches. It needs nothing but NVIDIA's driver, which is opened when it is used.
//
// Everything is allocated by actc_reserve. actc_enqueue only launches: it neither allocates nor
// waits, so that it may be captured into a CUDA graph; actc_run does so itself.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <vector>

#include "network.h"

extern "C" const unsigned char actc_fatbin[];
extern "C" const unsigned char actc_constants[];

asm(".section .rodata\n"
    ".global actc_fatbin\n.balign 64\nactc_fatbin:\n.incbin \"kernels.fatbin\"\n"
    ".global actc_constants\n.balign 64\nactc_constants:\n.incbin \"constants.bin\"\n.byte 0\n"
    ".previous\n");

namespace {

typedef unsigned long long Address;
typedef void *Handle;
char message[512] = "";

const char *const names[] = {
    "cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent", "cuModuleLoadData",
    "cuModuleGetFunction", "cuMemAlloc_v2", "cuMemFree_v2", "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2", "cuStreamCreate", "cuStreamSynchronize", "cuLaunchKernel",
    "cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags",
    "cuGraphLaunch", "cuGraphExecDestroy", "cuGraphDestroy", "cuGetErrorString",
    "cuStreamDestroy_v2", "cuModuleUnload", "cuDevicePrimaryCtxRelease_v2"};

struct Driver {
  int (*Init)(unsigned);
  int (*DeviceGet)(int *, int);
  int (*ContextRetain)(Handle *, int);
  int (*ContextSet)(Handle);
  int (*ModuleLoad)(Handle *, const void *);
  int (*GetFunction)(Handle *, Handle, const char *);
  int (*Alloc)(Address *, size_t);
  int (*Free)(Address);
  int (*ToDevice)(Address, const void *, size_t, Handle);
  int (*ToHost)(void *, Address, size_t, Handle);
  int (*StreamCreate)(Handle *, unsigned);
  int (*Synchronize)(Handle);
  int (*Launch)(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                Handle, void **, void **);
  int (*BeginCapture)(Handle, int);
  int (*EndCapture)(Handle, Handle *);
  int (*Instantiate)(Handle *, Handle, unsigned long long);
  int (*GraphLaunch)(Handle, Handle);
  int (*ExecDestroy)(Handle);
  int (*GraphDestroy)(Handle);
  int (*ErrorString)(int, const char **);
  int (*StreamDestroy)(Handle);
  int (*ModuleUnload)(Handle);
  int (*ContextRelease)(int);
};

struct Model {
  Handle library = nullptr;
  Driver cu = {};
  int device = 0;
  Handle context = nullptr, module = nullptr, stream = nullptr, graph = nullptr;
  Address constants = 0, arena = 0;
  int room = 0, batch = 0;  // samples that the arena holds, samples of the next launch
  std::vector<Handle> functions;
};

bool works(Model *m, int status, const char *what) {
  if (status == 0) return true;
  const char *text = nullptr;
  if (m->cu.ErrorString) m->cu.ErrorString(status, &text);
  snprintf(message, sizeof message, "%s: %s (CUDA error %d)", what, text ? text : "unknown", status);
  return false;
}

bool bind(Model *m, const char *driver) {
  m->library = dlopen(driver, RTLD_NOW | RTLD_LOCAL);
  if (!m->library) {
    snprintf(message, sizeof message, "no NVIDIA driver: %s", dlerror());
    return false;
  }
  void **slot = reinterpret_cast<void **>(&m->cu);
  static_assert(sizeof(Driver) == sizeof(names), "one name for each function");
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
    if (!(slot[i] = dlsym(m->library, names[i]))) {
      snprintf(message, sizeof message, "the NVIDIA driver has no %s", names[i]);
      return false;
    }
  return true;
}

bool load(Model *m) {
  if (!works(m, m->cu.Init(0), "cuInit") ||
      !works(m, m->cu.DeviceGet(&m->device, m->device), "cuDeviceGet") ||
      !works(m, m->cu.ContextRetain(&m->context, m->device), "cuDevicePrimaryCtxRetain") ||
      !works(m, m->cu.ContextSet(m->context), "cuCtxSetCurrent") ||
      !works(m, m->cu.StreamCreate(&m->stream, 1), "cuStreamCreate") ||
      !works(m, m->cu.ModuleLoad(&m->module, actc_fatbin), "loading the kernels"))
    return false;
  for (int i = 0; i < actc_launch_count; ++i) {
    Handle function = nullptr;
    if (!works(m, m->cu.GetFunction(&function, m->module, actc_launches[i].symbol),
               actc_launches[i].symbol))
      return false;
    m->functions.push_back(function);
  }
  size_t size = actc_constants_size ? actc_constants_size : 1;
  return works(m, m->cu.Alloc(&m->constants, size), "memory for constants") &&
         works(m, m->cu.ToDevice(m->constants, actc_constants, size, m->stream), "constants") &&
         works(m, m->cu.Synchronize(m->stream), "constants");
}

Address place(const Model *m, const actc_argument &a) {
  if (a.kind == ACTC_CONSTANT) return m->constants + a.offset;
  if (a.kind == ACTC_FIXED) return m->arena + a.offset;
  return m->arena + actc_fixed + a.offset * static_cast<Address>(m->batch);
}

uint64_t value_of(const Model *m, const actc_argument &a) {
  if (a.kind == ACTC_BATCH) return static_cast<uint64_t>(m->batch);
  return a.kind == ACTC_NUMBER ? a.offset : place(m, a);
}

size_t size_of(const Model *m, const actc_end &end) {
  return end.at.kind == ACTC_BUFFER ? end.size * m->batch : end.size;
}

}  // namespace

extern "C" {

const char *actc_message(void) { return message; }

int actc_input_count(void) { return actc_input_total; }
int actc_output_count(void) { return actc_output_total; }

void actc_close(void *handle) {
  Model *m = static_cast<Model *>(handle);
  if (!m) return;
  if (m->graph) m->cu.ExecDestroy(m->graph);
  if (m->arena) m->cu.Free(m->arena);
  if (m->constants) m->cu.Free(m->constants);
  if (m->module) m->cu.ModuleUnload(m->module);
  if (m->stream) m->cu.StreamDestroy(m->stream);
  if (m->context) m->cu.ContextRelease(m->device);
  if (m->library) dlclose(m->library);
  delete m;
}

// Opens a device; `driver` is the driver's library, NULL for libcuda.so.1. NULL on failure.
void *actc_open(const char *driver, int device) {
  Model *m = new Model;
  m->device = device;
  if (bind(m, driver ? driver : "libcuda.so.1") && load(m)) return m;
  actc_close(m);
  return nullptr;
}

// Makes room for `batch` samples; addresses of inputs and outputs change. 0 where it worked.
int actc_reserve(void *handle, int batch) {
  Model *m = static_cast<Model *>(handle);
  if (batch < 1 || (actc_batch && batch != actc_batch)) {
    snprintf(message, sizeof message, "no batch of %d samples", batch);
    return 1;
  }
  if (batch == m->batch) return 0;
  if (!works(m, m->cu.ContextSet(m->context), "cuCtxSetCurrent")) return 1;
  if (m->graph) m->cu.ExecDestroy(m->graph);
  m->graph = nullptr;
  if (batch > m->room) {
    if (m->arena) m->cu.Free(m->arena);
    m->arena = 0, m->room = 0, m->batch = 0;
    const unsigned long long size = actc_fixed + actc_arena * batch;
    if (!works(m, m->cu.Alloc(&m->arena, size ? size : 1), "memory for buffers")) return 1;
    m->room = batch;
  }
  m->batch = batch;
  return 0;
}

// Device addresses of an input or output of the reserved batch.
unsigned long long actc_input(void *handle, int index) {
  const Model *m = static_cast<Model *>(handle);
  return place(m, actc_inputs[index].at);
}
unsigned long long actc_output(void *handle, int index) {
  const Model *m = static_cast<Model *>(handle);
  return place(m, actc_outputs[index].at);
}

// Launches all kernels on a stream for the reserved batch, without waiting.
int actc_enqueue(void *handle, void *stream) {
  Model *m = static_cast<Model *>(handle);
  const unsigned n = static_cast<unsigned>(m->batch);
  for (int i = 0; i < actc_launch_count; ++i) {
    const actc_launch &launch = actc_launches[i];
    uint64_t values[ACTC_MOST_ARGUMENTS];
    void *arguments[ACTC_MOST_ARGUMENTS];
    for (int k = 0; k < launch.count; ++k) {
      values[k] = value_of(m, actc_arguments[launch.first + k]);
      arguments[k] = &values[k];
    }
    if (!works(m, m->cu.Launch(m->functions[i], launch.blocks(n), 1, 1, launch.threads, 1, 1, 0,
                               stream, arguments, nullptr), launch.symbol))
      return 1;
  }
  return 0;
}

static int capture(Model *m) {
  Handle graph = nullptr;
  if (!works(m, m->cu.BeginCapture(m->stream, 1), "cuStreamBeginCapture")) return 1;
  const int failed = actc_enqueue(m, m->stream);
  if (!works(m, m->cu.EndCapture(m->stream, &graph), "cuStreamEndCapture") || failed) return 1;
  const bool made = works(m, m->cu.Instantiate(&m->graph, graph, 0), "cuGraphInstantiate");
  m->cu.GraphDestroy(graph);
  return made ? 0 : 1;
}

// Runs a batch: host arrays in, host arrays out. 0 where it worked.
int actc_run(void *handle, int batch, const void *const *inputs, void *const *outputs) {
  Model *m = static_cast<Model *>(handle);
  if (actc_reserve(m, batch)) return 1;
  if (!works(m, m->cu.ContextSet(m->context), "cuCtxSetCurrent")) return 1;
  if (!m->graph && capture(m)) return 1;
  for (int i = 0; i < actc_input_total; ++i)
    if (size_of(m, actc_inputs[i]) &&
        !works(m, m->cu.ToDevice(actc_input(m, i), inputs[i], size_of(m, actc_inputs[i]),
                                 m->stream), "an input"))
      return 1;
  if (!works(m, m->cu.GraphLaunch(m->graph, m->stream), "cuGraphLaunch")) return 1;
  for (int i = 0; i < actc_output_total; ++i)
    if (size_of(m, actc_outputs[i]) &&
        !works(m, m->cu.ToHost(outputs[i], actc_output(m, i), size_of(m, actc_outputs[i]),
                               m->stream), "an output"))
      return 1;
  return works(m, m->cu.Synchronize(m->stream), "the kernels") ? 0 : 1;
}

// Runs the graph of the last batch `times` times and waits; for benchmarks.
int actc_repeat(void *handle, int times) {
  Model *m = static_cast<Model *>(handle);
  if (!m->graph && capture(m)) return 1;
  for (int i = 0; i < times; ++i)
    if (!works(m, m->cu.GraphLaunch(m->graph, m->stream), "cuGraphLaunch")) return 1;
  return works(m, m->cu.Synchronize(m->stream), "the kernels") ? 0 : 1;
}

}  // extern "C"
