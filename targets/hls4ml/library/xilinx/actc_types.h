// Names of Vivado HLS and Vitis HLS for what actc's layers use.
#ifndef ACTC_TYPES_H_
#define ACTC_TYPES_H_

#include "ap_int.h"
#include "hls_stream.h"
#include "nnet_common.h"

// In front of loops; these tools want pragmas in them.
#define ACTC_UNROLL
#define ACTC_PIPELINE
#define ACTC_PACK(word) PRAGMA_DATA_PACK(word)

namespace nnet {

template <int W> using actc_int = ap_int<W>;
template <int W> using actc_uint = ap_uint<W>;
template <class T> using actc_stream = hls::stream<T>;

} // namespace nnet

#endif
