// Names of Catapult for what actc's layers use.
#ifndef ACTC_TYPES_H_
#define ACTC_TYPES_H_

#include "ac_channel.h"
#include "ac_int.h"
#include "nnet_common.h"
#include "nnet_types.h"

#define ACTC_UNROLL _Pragma("hls_unroll yes")
#define ACTC_PIPELINE _Pragma("hls_pipeline_init_interval 1")
#define ACTC_PACK(word)

namespace nnet {

template <int W> using actc_int = ac_int<W, true>;
template <int W> using actc_uint = ac_int<W, false>;
template <class T> using actc_stream = ac_channel<T>;

} // namespace nnet

#endif
