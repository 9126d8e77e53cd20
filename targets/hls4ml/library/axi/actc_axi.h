// Between AXI4 streams and what networks of hls4ml read and write: elements have slots of SLOT bits
// in words of 64, the first one lowest; the last word of a sample is filled up with zeros.
//
// ELEMENTS are moved in a clock: as many as divide the slots of a word, and the elements of a
// position.
#ifndef ACTC_AXI_H_
#define ACTC_AXI_H_

#include "actc_axis_word.h"

namespace actc {

// The next elements of `data` come behind those of `x`, whose first ones leave.
template <class value_T, int SIZE, int SLOT, int ELEMENTS>
void take(value_T x[SIZE], ap_uint<AXIS_BITS> &data) {
    #pragma HLS INLINE
moved:
    for (int j = 0; j + ELEMENTS < SIZE; j++) {
        #pragma HLS UNROLL
        x[j] = x[j + ELEMENTS];
    }
taken:
    for (int k = 0; k < ELEMENTS; k++) {
        #pragma HLS UNROLL
        value_T value;
        value.range(value_T::width - 1, 0) = data.range(k * SLOT + value_T::width - 1, k * SLOT);
        x[SIZE - ELEMENTS + k] = value;
    }
    if (ELEMENTS * SLOT < AXIS_BITS) {
        const ap_uint<AXIS_BITS> rest = data.range(AXIS_BITS - 1, ELEMENTS * SLOT % AXIS_BITS);
        data = rest;
    }
}

// The first elements of `x` go to a group of slots, and those behind them take their places.
template <class value_T, int SIZE, int SLOT, int ELEMENTS>
void give(value_T x[SIZE], ap_uint<AXIS_BITS> &data, int group) {
    #pragma HLS INLINE
    ap_uint<ELEMENTS * SLOT> slots = 0;
given:
    for (int k = 0; k < ELEMENTS; k++) {
        #pragma HLS UNROLL
        const ap_int<SLOT> extended = x[k];
        slots.range(k * SLOT + SLOT - 1, k * SLOT) = extended.range(SLOT - 1, 0);
    }
    data.range(group * ELEMENTS * SLOT + ELEMENTS * SLOT - 1, group * ELEMENTS * SLOT) = slots;
moved:
    for (int j = 0; j + ELEMENTS < SIZE; j++) {
        #pragma HLS UNROLL
        x[j] = x[j + ELEMENTS];
    }
}

// --- networks of arrays (io_parallel): a sample comes whole

template <class value_T, int SIZE, int SLOT, int ELEMENTS>
void receive_array(hls::stream<axis_word> &in, value_T x[SIZE]) {
    enum { GROUPS = AXIS_BITS / SLOT / ELEMENTS };
    ap_uint<AXIS_BITS> data = 0;
    int group = 0;
groups:
    for (int i = 0; i < SIZE / ELEMENTS; i++) {
        #pragma HLS PIPELINE II=1
        if (group == 0) {
            const axis_word word = in.read();
            data = word.data;
        }
        take<value_T, SIZE, SLOT, ELEMENTS>(x, data);
        group = group == GROUPS - 1 ? 0 : group + 1;
    }
}

template <class value_T, int SIZE, int SLOT, int ELEMENTS>
void send_array(value_T x[SIZE], hls::stream<axis_word> &out) {
    enum { GROUPS = AXIS_BITS / SLOT / ELEMENTS };
    ap_uint<AXIS_BITS> data = 0;
    int group = 0;
groups:
    for (int i = 0; i < SIZE / ELEMENTS; i++) {
        #pragma HLS PIPELINE II=1
        if (group == 0)
            data = 0;
        give<value_T, SIZE, SLOT, ELEMENTS>(x, data, group);
        const bool last = i == SIZE / ELEMENTS - 1;
        if (group == GROUPS - 1 || last)
            send(out, data, last);
        group = group == GROUPS - 1 ? 0 : group + 1;
    }
}

// --- networks of streams (io_stream): a sample comes position by position

template <class array_T, int SIZE, int SLOT, int ELEMENTS>
void receive_stream(hls::stream<axis_word> &in, hls::stream<array_T> &out) {
    enum { GROUPS = AXIS_BITS / SLOT / ELEMENTS, PARTS = array_T::size / ELEMENTS };
    typedef typename array_T::value_type value_T;
    value_T position[array_T::size];
    #pragma HLS ARRAY_PARTITION variable=position complete
    ap_uint<AXIS_BITS> data = 0;
    int group = 0, part = 0;
groups:
    for (int i = 0; i < SIZE / ELEMENTS; i++) {
        #pragma HLS PIPELINE II=1
        if (group == 0) {
            const axis_word word = in.read();
            data = word.data;
        }
        take<value_T, array_T::size, SLOT, ELEMENTS>(position, data);
        if (part == PARTS - 1) {
            array_T whole;
            PRAGMA_DATA_PACK(whole)
        copied:
            for (int j = 0; j < (int)array_T::size; j++) {
                #pragma HLS UNROLL
                whole[j] = position[j];
            }
            out.write(whole);
        }
        group = group == GROUPS - 1 ? 0 : group + 1;
        part = part == PARTS - 1 ? 0 : part + 1;
    }
}

template <class array_T, int SIZE, int SLOT, int ELEMENTS>
void send_stream(hls::stream<array_T> &in, hls::stream<axis_word> &out) {
    enum { GROUPS = AXIS_BITS / SLOT / ELEMENTS, PARTS = array_T::size / ELEMENTS };
    typedef typename array_T::value_type value_T;
    value_T position[array_T::size];
    #pragma HLS ARRAY_PARTITION variable=position complete
    ap_uint<AXIS_BITS> data = 0;
    int group = 0, part = 0;
groups:
    for (int i = 0; i < SIZE / ELEMENTS; i++) {
        #pragma HLS PIPELINE II=1
        if (part == 0) {
            const array_T whole = in.read();
        copied:
            for (int j = 0; j < (int)array_T::size; j++) {
                #pragma HLS UNROLL
                position[j] = whole[j];
            }
        }
        if (group == 0)
            data = 0;
        give<value_T, array_T::size, SLOT, ELEMENTS>(position, data, group);
        const bool last = i == SIZE / ELEMENTS - 1;
        if (group == GROUPS - 1 || last)
            send(out, data, last);
        group = group == GROUPS - 1 ? 0 : group + 1;
        part = part == PARTS - 1 ? 0 : part + 1;
    }
}

} // namespace actc

#endif
