// The largest element of a window, channel by channel. Outside of the image is `lowest`.
#ifndef ACTC_MAX_POOL_H_
#define ACTC_MAX_POOL_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

template <class data_T, class res_T, class CONFIG_T>
void actc_max_pool(data_T data[CONFIG_T::n_in],
                   res_T res[CONFIG_T::out_rows * CONFIG_T::out_columns * CONFIG_T::n_chan]) {
    #pragma HLS PIPELINE II=1
rows:
    for (int r = 0; r < CONFIG_T::out_rows; r++) {
    columns:
        for (int c = 0; c < CONFIG_T::out_columns; c++) {
        channels:
            for (unsigned k = 0; k < CONFIG_T::n_chan; k++) {
                data_T most = CONFIG_T::lowest;
            window:
                for (int p = 0; p < CONFIG_T::kernel_rows * CONFIG_T::kernel_columns; p++) {
                    const int y = r * CONFIG_T::stride_rows - CONFIG_T::before_rows +
                                  p / CONFIG_T::kernel_columns * CONFIG_T::step_rows;
                    const int x = c * CONFIG_T::stride_columns - CONFIG_T::before_columns +
                                  p % CONFIG_T::kernel_columns * CONFIG_T::step_columns;
                    if (y >= 0 && y < CONFIG_T::in_rows && x >= 0 && x < CONFIG_T::in_columns) {
                        const data_T value = data[(y * CONFIG_T::in_columns + x) * CONFIG_T::n_chan + k];
                        most = value > most ? value : most;
                    }
                }
                res[(r * CONFIG_T::out_columns + c) * CONFIG_T::n_chan + k] = most;
            }
        }
    }
}

// Rows of the image wait in `lines`, the last columns of each in `window`. One position of the padded
// image comes in each clock.
template <class data_T, class res_T, class CONFIG_T>
void actc_max_pool(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    const int height = (CONFIG_T::kernel_rows - 1) * CONFIG_T::step_rows + 1;
    const int width = (CONFIG_T::kernel_columns - 1) * CONFIG_T::step_columns + 1;
    const int rows = CONFIG_T::before_rows + CONFIG_T::in_rows + CONFIG_T::after_rows;
    const int columns = CONFIG_T::before_columns + CONFIG_T::in_columns + CONFIG_T::after_columns;
    data_T lines[height][columns];
    #pragma HLS ARRAY_PARTITION variable=lines complete dim=1
    data_T window[height][width];
    #pragma HLS ARRAY_PARTITION variable=window complete dim=0

rows:
    for (int r = 0; r < rows; r++) {
    columns:
        for (int c = 0; c < columns; c++) {
            #pragma HLS LOOP_FLATTEN
            #pragma HLS PIPELINE II=1
            const int y = r - CONFIG_T::before_rows;
            const int x = c - CONFIG_T::before_columns;
            data_T in;
            if (y >= 0 && y < CONFIG_T::in_rows && x >= 0 && x < CONFIG_T::in_columns) {
                in = data.read();
            } else {
                for (unsigned k = 0; k < data_T::size; k++) {
                    #pragma HLS UNROLL
                    in[k] = CONFIG_T::lowest;
                }
            }
            for (int i = 0; i < height; i++) {
                #pragma HLS UNROLL
                const data_T next = i < height - 1 ? lines[i + 1 < height ? i + 1 : i][c] : in;
                for (int j = 0; j < width - 1; j++) {
                    #pragma HLS UNROLL
                    window[i][j] = window[i][j + 1];
                }
                window[i][width - 1] = next;
                lines[i][c] = next;
            }
            const int top = r - height + 1, left = c - width + 1;
            if (top >= 0 && left >= 0 && top % CONFIG_T::stride_rows == 0 &&
                left % CONFIG_T::stride_columns == 0) {
                res_T out;
                PRAGMA_DATA_PACK(out)
            channels:
                for (unsigned k = 0; k < res_T::size; k++) {
                    #pragma HLS UNROLL
                    typename data_T::value_type most = CONFIG_T::lowest;
                    for (int p = 0; p < CONFIG_T::kernel_rows * CONFIG_T::kernel_columns; p++) {
                        #pragma HLS UNROLL
                        const typename data_T::value_type value =
                            window[p / CONFIG_T::kernel_columns * CONFIG_T::step_rows]
                                  [p % CONFIG_T::kernel_columns * CONFIG_T::step_columns][k];
                        most = value > most ? value : most;
                    }
                    out[k] = most;
                }
                res.write(out);
            }
        }
    }
}

} // namespace nnet

#endif
