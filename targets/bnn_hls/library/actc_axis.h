// Between AXI4 streams and words: elements have slots of SLOT bits there, the first one lowest;
// the last word of a sample is filled up with zeros.
#ifndef ACTC_AXIS_H
#define ACTC_AXIS_H

#include "actc_axis_word.h"
#include "actc_words.h"

namespace actc {

// SIZE elements of BITS bits leave, ELEMENTS at a time; that many divide the slots of a word.
template <int SIZE, int SLOT, int BITS, int ELEMENTS>
void unpack(hls::stream<axis_word>& in, hls::stream<ap_uint<ELEMENTS * BITS> >& out) {
  enum { GROUPS = AXIS_BITS / SLOT / ELEMENTS };
  ap_uint<AXIS_BITS> data;
  int group = 0;
words:
  for (int i = 0; i < SIZE / ELEMENTS; i++) {
#pragma HLS PIPELINE II = 1
    if (group == 0) {
      const axis_word word = in.read();
      data = word.data;
    }
    ap_uint<ELEMENTS * BITS> found;
  slots:
    for (int k = 0; k < ELEMENTS; k++) {
#pragma HLS UNROLL
      const ap_uint<BITS> bits = data.range(k * SLOT + BITS - 1, k * SLOT);
      place<BITS>(found, k, bits);
    }
    const ap_uint<AXIS_BITS> rest =
        data.range(AXIS_BITS - 1, GROUPS > 1 ? ELEMENTS * SLOT : 0);
    data = rest;
    group = group == GROUPS - 1 ? 0 : group + 1;
    out.write(found);
  }
}

// SIZE elements come, ELEMENTS at a time; the last word of a sample says so.
template <int SIZE, int SLOT, int BITS, bool SIGNED, int ELEMENTS>
void pack(hls::stream<ap_uint<ELEMENTS * BITS> >& in, hls::stream<axis_word>& out) {
  enum { GROUPS = AXIS_BITS / SLOT / ELEMENTS };
  ap_uint<AXIS_BITS> data = 0;
  int group = 0;
words:
  for (int i = 0; i < SIZE / ELEMENTS; i++) {
#pragma HLS PIPELINE II = 1
    const ap_uint<ELEMENTS * BITS> word = in.read();
    if (group == 0) data = 0;
    ap_uint<ELEMENTS * SLOT> slots = 0;
  elements:
    for (int k = 0; k < ELEMENTS; k++) {
#pragma HLS UNROLL
      const typename Integer<SLOT, SIGNED>::type extended = element<BITS, SIGNED>(word, k);
      const ap_uint<SLOT> bits = extended;
      place<SLOT>(slots, k, bits);
    }
    place<ELEMENTS * SLOT>(data, group, slots);
    const bool last = i == SIZE / ELEMENTS - 1;
    if (group == GROUPS - 1 || last) send(out, data, last);
    group = group == GROUPS - 1 ? 0 : group + 1;
  }
}

}  // namespace actc

#endif
