// factor * x + offset.
#ifndef ACTC_AFFINE_H_
#define ACTC_AFFINE_H_

#include "actc_each.h"

namespace nnet {

template <class CONFIG_T> struct actc_affine_unit {
    template <class data_T>
    static int apply(const data_T &x, unsigned channel) {
        #pragma HLS INLINE
        return CONFIG_T::factor * x.to_int() + CONFIG_T::offset;
    }
};

template <class data_T, class res_T, class CONFIG_T>
void actc_affine(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in]) {
    #pragma HLS PIPELINE II=1
    actc_each<actc_affine_unit<CONFIG_T>, CONFIG_T>(data, res);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_affine(actc_stream<data_T> &data, actc_stream<res_T> &res) {
    actc_each<actc_affine_unit<CONFIG_T>, CONFIG_T>(data, res);
}

} // namespace nnet

#endif
