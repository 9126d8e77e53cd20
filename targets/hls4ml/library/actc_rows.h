// Functions of all channels of a position, of arrays (io_parallel) and of streams (io_stream).
//
// UNIT has a static `apply(x, results, constants...)`. A word of a stream is one position.
#ifndef ACTC_ROWS_H_
#define ACTC_ROWS_H_

#include "actc_types.h"

namespace nnet {

template <class CONFIG_T> struct actc_row_sizes {
    enum { positions = CONFIG_T::n_in / CONFIG_T::n_chan, made = positions * CONFIG_T::results };
};

template <class UNIT, class CONFIG_T, class data_T, class res_T, class... CONSTANTS>
void actc_each_row(data_T data[], res_T res[], CONSTANTS... constants) {
    #pragma HLS INLINE
    ACTC_UNROLL
    for (int i = 0; i < actc_row_sizes<CONFIG_T>::positions; i++) {
        #pragma HLS UNROLL
        UNIT::apply(data + i * CONFIG_T::n_chan, res + i * CONFIG_T::results, constants...);
    }
}

template <class UNIT, class CONFIG_T, class data_T, class res_T, class... CONSTANTS>
void actc_each_row(actc_stream<data_T> &data, actc_stream<res_T> &res, CONSTANTS... constants) {
    #pragma HLS INLINE
    static_assert(data_T::size == CONFIG_T::n_chan && res_T::size == CONFIG_T::results, "a word is a position");
    ACTC_PIPELINE
    for (int i = 0; i < actc_row_sizes<CONFIG_T>::positions; i++) {
        #pragma HLS PIPELINE II=1
        data_T in = data.read();
        res_T out;
        ACTC_PACK(out)
        UNIT::apply(in.data, out.data, constants...);
        res.write(out);
    }
}

} // namespace nnet

#endif
