// Functions of each element of a tensor, of arrays (io_parallel) and of streams (io_stream).
//
// UNIT has a static `apply(x, channel, constants...)`. A word of a stream is one position: all its
// channels, or a vector.
#ifndef ACTC_EACH_H_
#define ACTC_EACH_H_

#include "actc_types.h"

namespace nnet {

// The row of a channel: all have the first one where there is one.
template <class CONFIG_T> unsigned actc_row(unsigned channel) {
    #pragma HLS INLINE
    return CONFIG_T::rows == 1 ? 0 : channel;
}

template <class UNIT, class CONFIG_T, class data_T, class res_T, class... CONSTANTS>
void actc_each(data_T data[], res_T res[], CONSTANTS... constants) {
    #pragma HLS INLINE
    ACTC_UNROLL
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        #pragma HLS UNROLL
        res[i] = res_T(UNIT::apply(data[i], i % CONFIG_T::n_chan, constants...));
    }
}

template <class UNIT, class CONFIG_T, class data_T, class res_T, class... CONSTANTS>
void actc_each(actc_stream<data_T> &data, actc_stream<res_T> &res, CONSTANTS... constants) {
    #pragma HLS INLINE
    ACTC_PIPELINE
    for (unsigned i = 0; i < CONFIG_T::n_in / res_T::size; i++) {
        #pragma HLS PIPELINE II=1
        data_T in = data.read();
        res_T out;
        ACTC_PACK(out)
        ACTC_UNROLL
        for (unsigned k = 0; k < res_T::size; k++) {
            #pragma HLS UNROLL
            const unsigned channel = (i * res_T::size + k) % CONFIG_T::n_chan;
            out[k] = typename res_T::value_type(UNIT::apply(in[k], channel, constants...));
        }
        res.write(out);
    }
}

// The same of two tensors: UNIT has a static `apply(a, b)`.
template <class UNIT, class CONFIG_T, class first_T, class second_T, class res_T>
void actc_each_pair(first_T first[], second_T second[], res_T res[]) {
    #pragma HLS INLINE
    ACTC_UNROLL
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        #pragma HLS UNROLL
        res[i] = res_T(UNIT::apply(first[i], second[i]));
    }
}

template <class UNIT, class CONFIG_T, class first_T, class second_T, class res_T>
void actc_each_pair(actc_stream<first_T> &first, actc_stream<second_T> &second, actc_stream<res_T> &res) {
    #pragma HLS INLINE
    ACTC_PIPELINE
    for (unsigned i = 0; i < CONFIG_T::n_in / res_T::size; i++) {
        #pragma HLS PIPELINE II=1
        first_T left = first.read();
        second_T right = second.read();
        res_T out;
        ACTC_PACK(out)
        ACTC_UNROLL
        for (unsigned k = 0; k < res_T::size; k++) {
            #pragma HLS UNROLL
            out[k] = typename res_T::value_type(UNIT::apply(left[k], right[k]));
        }
        res.write(out);
    }
}

} // namespace nnet

#endif
