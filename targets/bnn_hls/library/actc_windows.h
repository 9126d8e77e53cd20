// Windows of an image: it comes position by position, rows from the top, of each position GROUPS
// words. What a window has outside of the image is `outside`.
#ifndef ACTC_WINDOWS_H
#define ACTC_WINDOWS_H

#include "actc_words.h"

namespace actc {

// What is read for one result, and how many there are; G has these as constants:
//   ROWS, COLUMNS of the image; KERNEL_ROWS, KERNEL_COLUMNS; STRIDE_*, DILATION_*;
//   BEFORE_*, AFTER_*: rows and columns of padding; RESULT_ROWS, RESULT_COLUMNS.
// FLAGGED: whether words have a bit on top that is set inside of the image.

// Word by word from a ring of KEPT rows in memory, a power of two, while the rows that the next
// row of results needs come in. A window's words follow each other tap by tap; CHANNELWISE: all
// taps of its first word come first.
template <class G, int GROUPS, int WORD, int KEPT, bool CHANNELWISE, bool FLAGGED>
void ring_windows(hls::stream<ap_uint<WORD> >& in, hls::stream<ap_uint<WORD + FLAGGED> >& out,
                  const ap_uint<WORD>& outside) {
  enum {
    SPAN = (G::KERNEL_ROWS - 1) * G::DILATION_ROWS + 1,
    ROW = G::COLUMNS * GROUPS,
    GIVEN = G::RESULT_COLUMNS * G::KERNEL_ROWS * G::KERNEL_COLUMNS * GROUPS
  };
  ap_uint<WORD> memory[KEPT][G::COLUMNS][GROUPS];
  int arrived = 0;  // rows that are in memory, or were
rows:
  for (int row = -1; row < G::RESULT_ROWS; row++) {
#pragma HLS LOOP_FLATTEN off
    // the rows up to here must be there when the next row of results begins
    int needed = (row + 1) * G::STRIDE_ROWS - G::BEFORE_ROWS + SPAN;
    if (needed > G::ROWS || row == G::RESULT_ROWS - 1) needed = G::ROWS;
    const int taken = needed > arrived ? (needed - arrived) * ROW : 0;
    const int given = row < 0 ? 0 : int(GIVEN);
    int in_row = arrived, in_column = 0, in_group = 0;
    int column = 0, kernel_row = 0, kernel_column = 0, group = 0;
  words:
    for (int i = 0; i < (taken > given ? taken : given); i++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 1 max = (ROW > GIVEN ? ROW : GIVEN)
// rows that come in are not those of this row of results
#pragma HLS DEPENDENCE variable = memory inter false
      if (i < given) {
        const int y = row * G::STRIDE_ROWS + kernel_row * G::DILATION_ROWS - G::BEFORE_ROWS;
        const int x = column * G::STRIDE_COLUMNS + kernel_column * G::DILATION_COLUMNS -
                      G::BEFORE_COLUMNS;
        const bool inside = y >= 0 && y < G::ROWS && x >= 0 && x < G::COLUMNS;
        ap_uint<WORD + FLAGGED> word = outside;
        if (inside) word = memory[y & (KEPT - 1)][x][group];
        if (FLAGGED) word[WORD + FLAGGED - 1] = inside;
        out.write(word);
        bool taps = true;  // whether a step of the taps is due
        if (!CHANNELWISE) {
          group++;
          taps = group == GROUPS;
          if (taps) group = 0;
        }
        if (taps) {
          kernel_column++;
          if (kernel_column == G::KERNEL_COLUMNS) {
            kernel_column = 0;
            kernel_row++;
          }
          if (kernel_row == G::KERNEL_ROWS) {
            kernel_row = 0;
            if (CHANNELWISE) group++;
            if (!CHANNELWISE || group == GROUPS) {
              group = 0;
              column++;
            }
          }
        }
      }
      if (i < taken) {
        memory[in_row & (KEPT - 1)][in_column][in_group] = in.read();
        in_group++;
        if (in_group == GROUPS) {
          in_group = 0;
          in_column++;
        }
        if (in_column == G::COLUMNS) {
          in_column = 0;
          in_row++;
        }
      }
    }
    if (needed > arrived) arrived = needed;
  }
}

// A whole window at a time: rows lie in line buffers, and the window in registers. Words are
// positions; the flags of taps lie above them.
template <class G, int WORD, bool FLAGGED>
void line_windows(
    hls::stream<ap_uint<WORD> >& in,
    hls::stream<ap_uint<G::KERNEL_ROWS * G::KERNEL_COLUMNS*(WORD + FLAGGED)> >& out,
    const ap_uint<WORD>& outside) {
  enum {
    TAPS = G::KERNEL_ROWS * G::KERNEL_COLUMNS,
    SPAN_ROWS = (G::KERNEL_ROWS - 1) * G::DILATION_ROWS + 1,
    SPAN_COLUMNS = (G::KERNEL_COLUMNS - 1) * G::DILATION_COLUMNS + 1,
    PADDED_ROWS = G::BEFORE_ROWS + G::ROWS + G::AFTER_ROWS,
    PADDED_COLUMNS = G::BEFORE_COLUMNS + G::COLUMNS + G::AFTER_COLUMNS
  };
  ap_uint<WORD> lines[SPAN_ROWS][PADDED_COLUMNS];  // the last one is the row that comes
#pragma HLS ARRAY_PARTITION variable = lines complete dim = 1
  ap_uint<WORD> window[SPAN_ROWS][SPAN_COLUMNS];
#pragma HLS ARRAY_PARTITION variable = window complete dim = 0
rows:
  for (int y = 0; y < PADDED_ROWS; y++) {
  columns:
    for (int x = 0; x < PADDED_COLUMNS; x++) {
#pragma HLS PIPELINE II = 1
      const bool inside = y >= G::BEFORE_ROWS && y < G::BEFORE_ROWS + G::ROWS &&
                          x >= G::BEFORE_COLUMNS && x < G::BEFORE_COLUMNS + G::COLUMNS;
      ap_uint<WORD> next = outside;
      if (inside) next = in.read();
    shift:
      for (int r = 0; r < SPAN_ROWS; r++) {
#pragma HLS UNROLL
        const ap_uint<WORD> own = r == SPAN_ROWS - 1 ? next : lines[(r + 1) % SPAN_ROWS][x];
        lines[r][x] = own;
        for (int c = 0; c < SPAN_COLUMNS - 1; c++) {
#pragma HLS UNROLL
          window[r][c] = window[r][(c + 1) % SPAN_COLUMNS];
        }
        window[r][SPAN_COLUMNS - 1] = own;
      }
      const int top = y - (SPAN_ROWS - 1), left = x - (SPAN_COLUMNS - 1);
      const bool due = top >= 0 && left >= 0 && top % G::STRIDE_ROWS == 0 &&
                       left % G::STRIDE_COLUMNS == 0;
      if (due) {
        ap_uint<TAPS*(WORD + FLAGGED)> word = 0;
      taps:
        for (int tap = 0; tap < TAPS; tap++) {
#pragma HLS UNROLL
          const int r = tap / G::KERNEL_COLUMNS * G::DILATION_ROWS;
          const int c = tap % G::KERNEL_COLUMNS * G::DILATION_COLUMNS;
          place<WORD>(word, tap, window[r][c]);
          if (FLAGGED) {
            word[TAPS * WORD + tap * FLAGGED] =
                top + r >= G::BEFORE_ROWS && top + r < G::BEFORE_ROWS + G::ROWS &&
                left + c >= G::BEFORE_COLUMNS && left + c < G::BEFORE_COLUMNS + G::COLUMNS;
          }
        }
        out.write(word);
      }
    }
  }
}

}  // namespace actc

#endif
