// Products of a word of SIMD elements and a word of weights, added up.
//
// With elements k and weights v of one bit, a sum of products of two-valued numbers is an offset
// and a factor away from a population count; both are in the thresholds behind it.
#ifndef ACTC_PRODUCTS_H
#define ACTC_PRODUCTS_H

#include "actc_words.h"

namespace actc {

// The number of ones: halves are counted by themselves, so that adders are as narrow as can be.
template <int N>
struct Ones {
  enum { LOW = N / 2, HIGH = N - LOW };
  static ap_uint<Bits<N>::value> of(const ap_uint<N>& word) {
#pragma HLS INLINE
    const ap_uint<LOW> low = word.range(LOW - 1, 0);
    const ap_uint<HIGH> high = word.range(N - 1, LOW);
    return ap_uint<Bits<N>::value>(Ones<LOW>::of(low) + Ones<HIGH>::of(high));
  }
};
template <>
struct Ones<1> {
  static ap_uint<1> of(const ap_uint<1>& word) {
#pragma HLS INLINE
    return word;
  }
};
template <>
struct Ones<2> {
  static ap_uint<2> of(const ap_uint<2>& word) {
#pragma HLS INLINE
    const ap_uint<1> low = word.range(0, 0);
    const ap_uint<1> high = word.range(1, 1);
    return ap_uint<2>(low + high);
  }
};

// Weights -1 and 1 (v = 0, 1), elements of one bit: pairs that agree.
template <int SIMD>
struct Xnor {
  enum { WORD = SIMD, WEIGHTS = SIMD };
  typedef ap_uint<Bits<SIMD>::value> result;
  static result dot(const ap_uint<SIMD>& x, const ap_uint<SIMD>& v) {
#pragma HLS INLINE
    const ap_uint<SIMD> agree = ~(x ^ v);
    return Ones<SIMD>::of(agree);
  }
};

// Weights -1, 0, 1: the low bits are signs, the high ones say which weights there are.
template <int SIMD>
struct MaskedXnor {
  enum { WORD = SIMD, WEIGHTS = 2 * SIMD };
  typedef ap_uint<Bits<SIMD>::value> result;
  static result dot(const ap_uint<SIMD>& x, const ap_uint<2 * SIMD>& weights) {
#pragma HLS INLINE
    const ap_uint<SIMD> v = weights.range(SIMD - 1, 0);
    const ap_uint<SIMD> mask = weights.range(2 * SIMD - 1, SIMD);
    const ap_uint<SIMD> agree = ~(x ^ v) & mask;
    return Ones<SIMD>::of(agree);
  }
};

// Weights 0 and 1.
template <int SIMD>
struct And {
  enum { WORD = SIMD, WEIGHTS = SIMD };
  typedef ap_uint<Bits<SIMD>::value> result;
  static result dot(const ap_uint<SIMD>& x, const ap_uint<SIMD>& v) {
#pragma HLS INLINE
    const ap_uint<SIMD> both = x & v;
    return Ones<SIMD>::of(both);
  }
};

// Weights -1 and 1, elements -1 and 1 and, in padding, 0: agreeing pairs less the other ones, of
// those of TAPS groups whose flag, in the bits above the elements, is set.
template <int SIMD, int TAPS>
struct Centred {
  enum { WORD = SIMD + TAPS, WEIGHTS = SIMD, GROUP = SIMD / TAPS };
  typedef ap_int<Bits<SIMD>::value + 2> result;
  static result dot(const ap_uint<SIMD + TAPS>& word, const ap_uint<SIMD>& v) {
#pragma HLS INLINE
    const ap_uint<SIMD> x = word.range(SIMD - 1, 0);
    const ap_uint<SIMD> agree = ~(x ^ v);
    result total = 0;
  taps:
    for (int tap = 0; tap < TAPS; tap++) {
#pragma HLS UNROLL
      const ap_uint<GROUP> own = agree.range((tap + 1) * GROUP - 1, tap * GROUP);
      ap_uint<Bits<SIMD>::value + 1> doubled = 0;
      doubled.range(Bits<GROUP>::value, 1) = Ones<GROUP>::of(own);
      const result difference = doubled - ap_uint<Bits<GROUP>::value>(GROUP);
      if (word[SIMD + tap]) total = total + difference;
    }
    return total;
  }
};

// Weights -1 and 1, elements of any width.
template <int SIMD, int BITS, bool SIGNED, int RESULT>
struct Signs {
  enum { WORD = SIMD * BITS, WEIGHTS = SIMD };
  typedef ap_int<RESULT> result;
  static result dot(const ap_uint<SIMD * BITS>& word, const ap_uint<SIMD>& v) {
#pragma HLS INLINE
    result total = 0;
  elements:
    for (int i = 0; i < SIMD; i++) {
#pragma HLS UNROLL
      const result x = element<BITS, SIGNED>(word, i);
      if (v[i])
        total = total + x;
      else
        total = total - x;
    }
    return total;
  }
};

// Weights and elements of any width.
template <int SIMD, int BITS, bool SIGNED, int WEIGHT, bool WEIGHT_SIGNED, int RESULT>
struct Integers {
  enum { WORD = SIMD * BITS, WEIGHTS = SIMD * WEIGHT };
  typedef ap_int<RESULT> result;
  static result dot(const ap_uint<SIMD * BITS>& word, const ap_uint<SIMD * WEIGHT>& weights) {
#pragma HLS INLINE
    result total = 0;
  elements:
    for (int i = 0; i < SIMD; i++) {
#pragma HLS UNROLL
      total = total + element<BITS, SIGNED>(word, i) * element<WEIGHT, WEIGHT_SIGNED>(weights, i);
    }
    return total;
  }
};

}  // namespace actc

#endif
