// What layers compute: PE channels of the result at a time, SIMD inputs of each.
#ifndef ACTC_LAYERS_H
#define ACTC_LAYERS_H

#include "actc_words.h"

namespace actc {

// A matrix product, at each position: a window comes in STEPS words, which all FOLDS groups of PE
// channels read.
template <int POSITIONS, int FOLDS, int STEPS, int PE, class TOTAL, class DOT, class FUNCTION>
void matrix(hls::stream<ap_uint<DOT::WORD> >& in,
            hls::stream<ap_uint<PE * FUNCTION::RESULT> >& out,
            const ap_uint<DOT::WEIGHTS> (&weights)[PE][FOLDS * STEPS], const FUNCTION& function) {
#pragma HLS INLINE
  ap_uint<DOT::WORD> window[STEPS];
  TOTAL totals[PE];
#pragma HLS ARRAY_PARTITION variable = totals complete
positions:
  for (int position = 0; position < POSITIONS; position++) {
  folds:
    for (int fold = 0; fold < FOLDS; fold++) {
    steps:
      for (int step = 0; step < STEPS; step++) {
#pragma HLS PIPELINE II = 1
        if (fold == 0) window[step] = in.read();
        const ap_uint<DOT::WORD> word = window[step];
        ap_uint<PE * FUNCTION::RESULT> result;
      channels:
        for (int pe = 0; pe < PE; pe++) {
#pragma HLS UNROLL
          const TOTAL sum = DOT::dot(word, weights[pe][fold * STEPS + step]);
          if (step == 0)
            totals[pe] = sum;
          else
            totals[pe] = totals[pe] + sum;
          if (step == STEPS - 1)
            place<FUNCTION::RESULT>(result, pe, function.apply(pe, fold, totals[pe]));
        }
        if (step == STEPS - 1) out.write(result);
      }
    }
  }
}

// The same where each channel of the result reads its own channel only: words hold PE channels of
// a tap, all taps of the first PE channels first. DOT is of one element; FLAGGED: and of the bit
// on top of the word.
template <int POSITIONS, int FOLDS, int TAPS, int PE, bool FLAGGED, class TOTAL, class DOT,
          class FUNCTION>
void depthwise(hls::stream<ap_uint<PE*(DOT::WORD - FLAGGED) + FLAGGED> >& in,
               hls::stream<ap_uint<PE * FUNCTION::RESULT> >& out,
               const ap_uint<DOT::WEIGHTS> (&weights)[PE][FOLDS * TAPS],
               const FUNCTION& function) {
#pragma HLS INLINE
  enum { BITS = DOT::WORD - FLAGGED, WORD = PE * BITS + FLAGGED };
  TOTAL totals[PE];
#pragma HLS ARRAY_PARTITION variable = totals complete
positions:
  for (int position = 0; position < POSITIONS; position++) {
  folds:
    for (int fold = 0; fold < FOLDS; fold++) {
    taps:
      for (int tap = 0; tap < TAPS; tap++) {
#pragma HLS PIPELINE II = 1
        const ap_uint<WORD> word = in.read();
        ap_uint<PE * FUNCTION::RESULT> result;
      channels:
        for (int pe = 0; pe < PE; pe++) {
#pragma HLS UNROLL
          ap_uint<DOT::WORD> own = element<BITS, false>(word, pe);
          if (FLAGGED) own[DOT::WORD - 1] = word[WORD - 1];
          const TOTAL sum = DOT::dot(own, weights[pe][fold * TAPS + tap]);
          if (tap == 0)
            totals[pe] = sum;
          else
            totals[pe] = totals[pe] + sum;
          if (tap == TAPS - 1)
            place<FUNCTION::RESULT>(result, pe, function.apply(pe, fold, totals[pe]));
        }
        if (tap == TAPS - 1) out.write(result);
      }
    }
  }
}

// The larger of two elements; of bits, their OR.
template <class T>
struct Larger {
  static T of(const T& a, const T& b) {
#pragma HLS INLINE
    return a > b ? a : b;
  }
};
template <>
struct Larger<ap_uint<1> > {
  static ap_uint<1> of(const ap_uint<1>& a, const ap_uint<1>& b) {
#pragma HLS INLINE
    return ap_uint<1>(a | b);
  }
};

// Maxima of windows: words as of depthwise(), of elements with BITS bits. Of a word of AT_ONCE taps
// one after the other, TAPS / AT_ONCE words make a result.
template <int POSITIONS, int FOLDS, int TAPS, int AT_ONCE, int PE, int BITS, bool SIGNED,
          class FUNCTION>
void maximum(hls::stream<ap_uint<AT_ONCE * PE * BITS> >& in,
             hls::stream<ap_uint<PE * FUNCTION::RESULT> >& out, const FUNCTION& function) {
#pragma HLS INLINE
  typedef typename Integer<BITS, SIGNED>::type number;
  number largest[PE];
#pragma HLS ARRAY_PARTITION variable = largest complete
positions:
  for (int position = 0; position < POSITIONS; position++) {
  folds:
    for (int fold = 0; fold < FOLDS; fold++) {
    steps:
      for (int step = 0; step < TAPS / AT_ONCE; step++) {
#pragma HLS PIPELINE II = 1
        const ap_uint<AT_ONCE * PE * BITS> word = in.read();
        ap_uint<PE * FUNCTION::RESULT> result;
      channels:
        for (int pe = 0; pe < PE; pe++) {
#pragma HLS UNROLL
          number found = element<BITS, SIGNED>(word, pe);
        taps:
          for (int tap = 1; tap < AT_ONCE; tap++) {
#pragma HLS UNROLL
            found = Larger<number>::of(found, element<BITS, SIGNED>(word, tap * PE + pe));
          }
          if (step > 0) found = Larger<number>::of(found, largest[pe]);
          largest[pe] = found;
          if (step == TAPS / AT_ONCE - 1)
            place<FUNCTION::RESULT>(result, pe, function.apply(pe, fold, found));
        }
        if (step == TAPS / AT_ONCE - 1) out.write(result);
      }
    }
  }
}

// No function: the element itself.
template <int BITS>
struct Same {
  enum { RESULT = BITS };

  template <class TOTAL>
  ap_uint<BITS> apply(int, int, const TOTAL& total) const {
#pragma HLS INLINE
    return ap_uint<BITS>(total);
  }
};

// A function of each element.
template <int POSITIONS, int FOLDS, int PE, int BITS, bool SIGNED, class FUNCTION>
void map(hls::stream<ap_uint<PE * BITS> >& in, hls::stream<ap_uint<PE * FUNCTION::RESULT> >& out,
         const FUNCTION& function) {
#pragma HLS INLINE
positions:
  for (int position = 0; position < POSITIONS; position++) {
  folds:
    for (int fold = 0; fold < FOLDS; fold++) {
#pragma HLS PIPELINE II = 1
      const ap_uint<PE * BITS> word = in.read();
      ap_uint<PE * FUNCTION::RESULT> result;
    channels:
      for (int pe = 0; pe < PE; pe++) {
#pragma HLS UNROLL
        const typename Integer<BITS, SIGNED>::type x = element<BITS, SIGNED>(word, pe);
        place<FUNCTION::RESULT>(result, pe, function.apply(pe, fold, x));
      }
      out.write(result);
    }
  }
}

// A function of two elements each: A * a + B * b.
template <int A, int B, class TOTAL>
struct Sum {
  template <class X, class Y>
  static TOTAL of(const X& a, const Y& b) {
#pragma HLS INLINE
    return TOTAL(TOTAL(a * TOTAL(A)) + TOTAL(b * TOTAL(B)));
  }
};

// (A * a + C) * (B * b + D).
template <int A, int C, int B, int D, class TOTAL>
struct Product {
  template <class X, class Y>
  static TOTAL of(const X& a, const Y& b) {
#pragma HLS INLINE
    const TOTAL first = TOTAL(a * TOTAL(A)) + TOTAL(C);
    const TOTAL second = TOTAL(b * TOTAL(B)) + TOTAL(D);
    return TOTAL(first * second);
  }
};

template <int POSITIONS, int FOLDS, int PE, int BITS_A, bool SIGNED_A, int BITS_B, bool SIGNED_B,
          class PAIR, class FUNCTION>
void pairs(hls::stream<ap_uint<PE * BITS_A> >& a, hls::stream<ap_uint<PE * BITS_B> >& b,
           hls::stream<ap_uint<PE * FUNCTION::RESULT> >& out, const FUNCTION& function) {
#pragma HLS INLINE
positions:
  for (int position = 0; position < POSITIONS; position++) {
  folds:
    for (int fold = 0; fold < FOLDS; fold++) {
#pragma HLS PIPELINE II = 1
      const ap_uint<PE * BITS_A> word_a = a.read();
      const ap_uint<PE * BITS_B> word_b = b.read();
      ap_uint<PE * FUNCTION::RESULT> result;
    channels:
      for (int pe = 0; pe < PE; pe++) {
#pragma HLS UNROLL
        const typename Integer<BITS_A, SIGNED_A>::type x = element<BITS_A, SIGNED_A>(word_a, pe);
        const typename Integer<BITS_B, SIGNED_B>::type y = element<BITS_B, SIGNED_B>(word_b, pe);
        place<FUNCTION::RESULT>(result, pe, function.apply(pe, fold, PAIR::of(x, y)));
      }
      out.write(result);
    }
  }
}

}  // namespace actc

#endif
