// Words of elements: element i of a word lies in its bits [i * BITS, (i + 1) * BITS).
#ifndef ACTC_WORDS_H
#define ACTC_WORDS_H

#ifndef AP_INT_MAX_W
#define AP_INT_MAX_W 4096
#endif
#include <ap_int.h>
#include <hls_stream.h>

namespace actc {

// Bits that hold 0..N.
template <int N>
struct Bits {
  enum { value = 1 + Bits<N / 2>::value };
};
template <>
struct Bits<1> {
  enum { value = 1 };
};
template <>
struct Bits<0> {
  enum { value = 1 };
};

// An integer of BITS bits, with a sign or without.
template <int BITS, bool SIGNED>
struct Integer {
  typedef ap_uint<BITS> type;
};
template <int BITS>
struct Integer<BITS, true> {
  typedef ap_int<BITS> type;
};

// Element i of a word.
template <int BITS, bool SIGNED, int WORD>
typename Integer<BITS, SIGNED>::type element(const ap_uint<WORD>& word, int i) {
#pragma HLS INLINE
  const ap_uint<BITS> bits = word.range((i + 1) * BITS - 1, i * BITS);
  return typename Integer<BITS, SIGNED>::type(bits);
}

// Makes `bits` the element i of a word.
template <int BITS, int WORD>
void place(ap_uint<WORD>& word, int i, const ap_uint<BITS>& bits) {
#pragma HLS INLINE
  word.range((i + 1) * BITS - 1, i * BITS) = bits;
}

// A word of PARTS * BITS bits becomes PARTS words, the first one of its lowest bits.
template <int WORDS, int PARTS, int BITS>
void narrow(hls::stream<ap_uint<PARTS * BITS> >& in, hls::stream<ap_uint<BITS> >& out) {
  ap_uint<PARTS * BITS> word;
words:
  for (int i = 0; i < WORDS; i++) {
  parts:
    for (int part = 0; part < PARTS; part++) {
#pragma HLS PIPELINE II = 1
      if (part == 0) {
        word = in.read();
      } else {
        const ap_uint<PARTS * BITS> rest = word.range(PARTS * BITS - 1, PARTS > 1 ? BITS : 0);
        word = rest;
      }
      const ap_uint<BITS> first = word.range(BITS - 1, 0);
      out.write(first);
    }
  }
}

// PARTS words become one; WORDS of these leave.
template <int WORDS, int PARTS, int BITS>
void widen(hls::stream<ap_uint<BITS> >& in, hls::stream<ap_uint<PARTS * BITS> >& out) {
  ap_uint<PARTS * BITS> word;
words:
  for (int i = 0; i < WORDS; i++) {
  parts:
    for (int part = 0; part < PARTS; part++) {
#pragma HLS PIPELINE II = 1
      const ap_uint<BITS> next = in.read();
      place<BITS>(word, part, next);
      if (part == PARTS - 1) out.write(word);
    }
  }
}

// Each word goes to two readers.
template <int WORDS, int BITS>
void fork(hls::stream<ap_uint<BITS> >& in, hls::stream<ap_uint<BITS> >& first,
          hls::stream<ap_uint<BITS> >& second) {
words:
  for (int i = 0; i < WORDS; i++) {
#pragma HLS PIPELINE II = 1
    const ap_uint<BITS> word = in.read();
    first.write(word);
    second.write(word);
  }
}

}  // namespace actc

#endif
