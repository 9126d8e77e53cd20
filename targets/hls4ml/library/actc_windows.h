// Windows of an image, of arrays (io_parallel) and of streams (io_stream), one result for each.
//
// UNIT has a static `apply(window, result, constants...)`, which takes an accessor (row, column,
// channel) of the window's elements. What is outside of the image is `outside`; `inside(row, column)`
// says where that is.
#ifndef ACTC_WINDOWS_H_
#define ACTC_WINDOWS_H_

#include "actc_types.h"

namespace nnet {

// Whether an element of a window is in the image; the window's first element is at (top, left).
template <class CONFIG_T> bool actc_inside(int top, int left, int row, int column) {
    #pragma HLS INLINE
    const int y = top + row * CONFIG_T::step_rows, x = left + column * CONFIG_T::step_columns;
    return y >= 0 && y < CONFIG_T::in_rows && x >= 0 && x < CONFIG_T::in_columns;
}

// A window of an array: its first element is at (top, left), which may be outside.
template <class data_T, class CONFIG_T> struct actc_array_window {
    const data_T *data;
    int top, left;

    bool inside(int row, int column) const {
        #pragma HLS INLINE
        return actc_inside<CONFIG_T>(top, left, row, column);
    }
    data_T at(int row, int column, int channel) const {
        #pragma HLS INLINE
        if (!inside(row, column))
            return data_T(CONFIG_T::outside);
        const int y = top + row * CONFIG_T::step_rows, x = left + column * CONFIG_T::step_columns;
        return data[(y * CONFIG_T::in_columns + x) * CONFIG_T::n_chan + channel];
    }
};

template <class UNIT, class CONFIG_T, class data_T, class res_T, class... CONSTANTS>
void actc_each_window(data_T data[], res_T res[], CONSTANTS... constants) {
    #pragma HLS INLINE
    ACTC_UNROLL
    for (int r = 0; r < CONFIG_T::out_rows; r++) {
        #pragma HLS UNROLL
        ACTC_UNROLL
        for (int c = 0; c < CONFIG_T::out_columns; c++) {
            #pragma HLS UNROLL
            const actc_array_window<data_T, CONFIG_T> window = {
                data, r * CONFIG_T::stride_rows - CONFIG_T::before_rows,
                c * CONFIG_T::stride_columns - CONFIG_T::before_columns};
            UNIT::apply(window, res + (r * CONFIG_T::out_columns + c) * UNIT::made, constants...);
        }
    }
}

// A window in registers: words of all channels.
template <class data_T, class CONFIG_T> struct actc_stream_window {
    enum {
        height = (CONFIG_T::kernel_rows - 1) * CONFIG_T::step_rows + 1,
        width = (CONFIG_T::kernel_columns - 1) * CONFIG_T::step_columns + 1
    };
    data_T words[height][width];
    int top, left;

    bool inside(int row, int column) const {
        #pragma HLS INLINE
        return actc_inside<CONFIG_T>(top, left, row, column);
    }
    typename data_T::value_type at(int row, int column, int channel) const {
        #pragma HLS INLINE
        return words[row * CONFIG_T::step_rows][column * CONFIG_T::step_columns].data[channel];
    }
};

// Rows of the image wait in `lines`, the last columns of each in `window`. One position of the padded
// image comes in each clock.
template <class UNIT, class CONFIG_T, class data_T, class res_T, class... CONSTANTS>
void actc_each_window(actc_stream<data_T> &data, actc_stream<res_T> &res, CONSTANTS... constants) {
    #pragma HLS INLINE
    typedef actc_stream_window<data_T, CONFIG_T> window_T;
    const int rows = CONFIG_T::before_rows + CONFIG_T::in_rows + CONFIG_T::after_rows;
    const int columns = CONFIG_T::before_columns + CONFIG_T::in_columns + CONFIG_T::after_columns;
    data_T lines[window_T::height][columns];
    #pragma HLS ARRAY_PARTITION variable=lines complete dim=1
    window_T window;
    #pragma HLS ARRAY_PARTITION variable=window.words complete dim=0

    for (int r = 0; r < rows; r++) {
        ACTC_PIPELINE
        for (int c = 0; c < columns; c++) {
            #pragma HLS LOOP_FLATTEN
            #pragma HLS PIPELINE II=1
            const int y = r - CONFIG_T::before_rows, x = c - CONFIG_T::before_columns;
            data_T in;
            if (y >= 0 && y < CONFIG_T::in_rows && x >= 0 && x < CONFIG_T::in_columns) {
                in = data.read();
            } else {
                ACTC_UNROLL
                for (unsigned k = 0; k < data_T::size; k++) {
                    #pragma HLS UNROLL
                    in[k] = CONFIG_T::outside;
                }
            }
            ACTC_UNROLL
            for (int i = 0; i < window_T::height; i++) {
                #pragma HLS UNROLL
                const data_T next = i + 1 < window_T::height ? lines[(i + 1) % window_T::height][c] : in;
                ACTC_UNROLL
                for (int j = 0; j + 1 < window_T::width; j++) {
                    #pragma HLS UNROLL
                    window.words[i][j] = window.words[i][j + 1];
                }
                window.words[i][window_T::width - 1] = next;
                lines[i][c] = next;
            }
            const int top = r - window_T::height + 1, left = c - window_T::width + 1;
            if (top >= 0 && left >= 0 && top % CONFIG_T::stride_rows == 0 &&
                left % CONFIG_T::stride_columns == 0) {
                res_T out;
                ACTC_PACK(out)
                window.top = top - CONFIG_T::before_rows;
                window.left = left - CONFIG_T::before_columns;
                UNIT::apply(window, out.data, constants...);
                res.write(out);
            }
        }
    }
}

} // namespace nnet

#endif
