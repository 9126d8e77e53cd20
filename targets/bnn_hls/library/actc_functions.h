// Functions of totals, one per channel: channel fold * PE + pe is in row [pe][fold].
//
// Where all channels have one function, FOLDS is 1. Each gives the bits of its result.
#ifndef ACTC_FUNCTIONS_H
#define ACTC_FUNCTIONS_H

#include "actc_words.h"

namespace actc {

// The row of a fold: all have the first one where FOLDS is 1.
template <int FOLDS>
int row_of(int fold) {
#pragma HLS INLINE
  return FOLDS == 1 ? 0 : fold;
}

// One bit: whether the total reaches a threshold, or whether it does not.
template <int PE, int FOLDS, class LIMIT>
struct Threshold {
  enum { RESULT = 1 };
  LIMIT limits[PE][FOLDS];
  ap_uint<1> inverted[PE][FOLDS];

  template <class TOTAL>
  ap_uint<1> apply(int pe, int fold, const TOTAL& total) const {
#pragma HLS INLINE
    const ap_uint<1> reached = ap_uint<1>(total >= limits[pe][row_of<FOLDS>(fold)] ? 1 : 0);
    return ap_uint<1>(reached ^ inverted[pe][row_of<FOLDS>(fold)]);
  }
};

// The number of thresholds that are reached, from a base on.
template <int PE, int FOLDS, int COUNT, class LIMIT, int BITS>
struct Count {
  enum { RESULT = BITS };
  LIMIT limits[PE][FOLDS][COUNT];
  ap_uint<BITS> bases[PE][FOLDS];

  template <class TOTAL>
  ap_uint<BITS> apply(int pe, int fold, const TOTAL& total) const {
#pragma HLS INLINE
    ap_uint<BITS> found = bases[pe][row_of<FOLDS>(fold)];
  thresholds:
    for (int k = 0; k < COUNT; k++) {
#pragma HLS UNROLL
      const ap_uint<1> reached = ap_uint<1>(total >= limits[pe][row_of<FOLDS>(fold)][k] ? 1 : 0);
      found = ap_uint<BITS>(found + reached);
    }
    return found;
  }
};

// As many steps, of any height: levels by the number of thresholds that are reached.
template <int PE, int FOLDS, int COUNT, class LIMIT, int BITS>
struct Steps {
  enum { RESULT = BITS };
  LIMIT limits[PE][FOLDS][COUNT];
  ap_uint<BITS> levels[PE][FOLDS][COUNT + 1];

  template <class TOTAL>
  ap_uint<BITS> apply(int pe, int fold, const TOTAL& total) const {
#pragma HLS INLINE
    ap_uint<Bits<COUNT>::value> rank = 0;
  thresholds:
    for (int k = 0; k < COUNT; k++) {
#pragma HLS UNROLL
      const ap_uint<1> reached = ap_uint<1>(total >= limits[pe][row_of<FOLDS>(fold)][k] ? 1 : 0);
      rank = ap_uint<Bits<COUNT>::value>(rank + reached);
    }
    return levels[pe][row_of<FOLDS>(fold)][rank.to_int()];
  }
};

// A table, from the total LOW on.
template <int PE, int FOLDS, int LOW, int SIZE, int BITS>
struct Table {
  enum { RESULT = BITS };
  ap_uint<BITS> levels[PE][FOLDS][SIZE];

  template <class TOTAL>
  ap_uint<BITS> apply(int pe, int fold, const TOTAL& total) const {
#pragma HLS INLINE
    const ap_uint<Bits<SIZE>::value> place = ap_uint<Bits<SIZE>::value>(total - TOTAL(LOW));
    return levels[pe][row_of<FOLDS>(fold)][place.to_int()];
  }
};

// Many steps: a binary search through 2^DEPTH - 1 thresholds, one comparison for each bit of the
// number of those that are reached. Row d of `limits` holds the 2^d thresholds that may be next.
template <int PE, int FOLDS, int DEPTH, class LIMIT, int BITS>
struct Search {
  enum { RESULT = BITS, HALF = 1 << (DEPTH - 1) };
  LIMIT limits[PE][DEPTH][FOLDS * HALF];
  ap_uint<BITS> levels[PE][FOLDS * 2 * HALF];

  template <class TOTAL>
  ap_uint<BITS> apply(int pe, int fold, const TOTAL& total) const {
#pragma HLS INLINE
    int rank = row_of<FOLDS>(fold);
  bits:
    for (int d = 0; d < DEPTH; d++) {
#pragma HLS UNROLL
      rank = 2 * rank + (total >= limits[pe][d][rank] ? 1 : 0);
    }
    return levels[pe][rank];
  }
};

// FACTOR * total, and an offset.
template <int PE, int FOLDS, int FACTOR, class OFFSET, int BITS>
struct Plain {
  enum { RESULT = BITS };
  OFFSET offsets[PE][FOLDS];

  template <class TOTAL>
  ap_uint<BITS> apply(int pe, int fold, const TOTAL& total) const {
#pragma HLS INLINE
    const OFFSET scaled = total * OFFSET(FACTOR);
    return ap_uint<BITS>(scaled + offsets[pe][row_of<FOLDS>(fold)]);
  }
};

}  // namespace actc

#endif
