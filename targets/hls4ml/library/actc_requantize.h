// clamp(((multiplier * x + offset) >> shift) + zero, low, high).
#ifndef ACTC_REQUANTIZE_H_
#define ACTC_REQUANTIZE_H_

#include "actc_each.h"

namespace nnet {

template <class CONFIG_T> struct actc_requantize_unit {
    template <class data_T>
    static int apply(const data_T &x, unsigned channel,
                        const typename CONFIG_T::multiplier_t multiplier[],
                        const typename CONFIG_T::offset_t offset[]) {
        #pragma HLS INLINE
        const unsigned row = actc_row<CONFIG_T>(channel);
        const actc_int<CONFIG_T::width> scaled = multiplier[row] * x + offset[row];
        const actc_int<CONFIG_T::width> rounded = (scaled >> CONFIG_T::shift) + CONFIG_T::zero;
        return rounded < CONFIG_T::low ? CONFIG_T::low : rounded > CONFIG_T::high ? CONFIG_T::high : rounded.to_int();
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_requantize(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
                     const typename CONFIG_T::multiplier_t multiplier[CONFIG_T::rows],
                     const typename CONFIG_T::offset_t offset[CONFIG_T::rows]) {
    #pragma HLS PIPELINE II=1
    actc_each<actc_requantize_unit<CONFIG_T>, CONFIG_T>(data, res, multiplier, offset);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_requantize(actc_stream<data_T> &data, actc_stream<res_T> &res,
                     const typename CONFIG_T::multiplier_t multiplier[CONFIG_T::rows],
                     const typename CONFIG_T::offset_t offset[CONFIG_T::rows]) {
    actc_each<actc_requantize_unit<CONFIG_T>, CONFIG_T>(data, res, multiplier, offset);
}

} // namespace nnet

#endif
