// Names of Intel's HLS compiler for what actc's layers use.
#ifndef ACTC_TYPES_H_
#define ACTC_TYPES_H_

#include "../defines.h" // streams and integers, of the compiler or of g++
#include "nnet_common.h"

#define ACTC_UNROLL _Pragma("unroll")
#define ACTC_PIPELINE _Pragma("ii 1")
#define ACTC_PACK(word)

namespace nnet {

template <int W> using actc_int = ac_int<W, true>;
template <int W> using actc_uint = ac_int<W, false>;
template <class T> using actc_stream = ::stream<T>;

} // namespace nnet

#endif
