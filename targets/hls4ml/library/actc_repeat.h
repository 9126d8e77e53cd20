// Each position several times: an image enlarged to the nearest by whole factors.
#ifndef ACTC_REPEAT_H_
#define ACTC_REPEAT_H_

#include "actc_types.h"

namespace nnet {

template <class CONFIG_T> struct actc_repeat_sizes {
    enum {
        in_columns = CONFIG_T::out_columns / CONFIG_T::factor_columns,
        made = CONFIG_T::out_rows * CONFIG_T::out_columns * CONFIG_T::n_chan
    };
};

template <class data_T, class res_T, class CONFIG_T>
void actc_repeat(data_T data[CONFIG_T::n_in], res_T res[actc_repeat_sizes<CONFIG_T>::made]) {
    #pragma HLS PIPELINE II=1
    ACTC_UNROLL
    for (int i = 0; i < actc_repeat_sizes<CONFIG_T>::made; i++) {
        #pragma HLS UNROLL
        const int position = i / CONFIG_T::n_chan;
        const int row = position / CONFIG_T::out_columns / CONFIG_T::factor_rows;
        const int column = position % CONFIG_T::out_columns / CONFIG_T::factor_columns;
        const int place = row * actc_repeat_sizes<CONFIG_T>::in_columns + column;
        res[i] = res_T(data[place * CONFIG_T::n_chan + i % CONFIG_T::n_chan]);
    }
}

// One position of the result leaves in each clock; a row waits until it has left as often as it must.
template <class data_T, class res_T, class CONFIG_T>
void actc_repeat(actc_stream<data_T> &data, actc_stream<res_T> &res) {
    data_T line[actc_repeat_sizes<CONFIG_T>::in_columns];
    for (int r = 0; r < CONFIG_T::out_rows; r++) {
        ACTC_PIPELINE
        for (int c = 0; c < CONFIG_T::out_columns; c++) {
            #pragma HLS LOOP_FLATTEN
            #pragma HLS PIPELINE II=1
            const int column = c / CONFIG_T::factor_columns;
            if (r % CONFIG_T::factor_rows == 0 && c % CONFIG_T::factor_columns == 0)
                line[column] = data.read();
            const data_T word = line[column];
            res_T out;
            ACTC_PACK(out)
            ACTC_UNROLL
            for (unsigned k = 0; k < res_T::size; k++) {
                #pragma HLS UNROLL
                out[k] = typename res_T::value_type(word.data[k]);
            }
            res.write(out);
        }
    }
}

} // namespace nnet

#endif
