// Words of AXI4 streams, as a board's DMA has them: 64 bits, all of them valid.
#ifndef ACTC_AXIS_WORD_H
#define ACTC_AXIS_WORD_H

#include <ap_axi_sdata.h>
#include <ap_int.h>
#include <hls_stream.h>

namespace actc {

enum { AXIS_BITS = 64 };
typedef ap_axiu<AXIS_BITS, 1, 1, 1> axis_word;

// The last word of a sample says so.
inline void send(hls::stream<axis_word> &out, const ap_uint<AXIS_BITS> &data, bool last) {
#pragma HLS INLINE
  axis_word word;
  word.data = data;
  word.keep = ap_uint<AXIS_BITS / 8>(-1);
  word.strb = ap_uint<AXIS_BITS / 8>(-1);
  word.user = 0;
  word.last = ap_uint<1>(last ? 1 : 0);
  word.id = 0;
  word.dest = 0;
  out.write(word);
}

}  // namespace actc

#endif
