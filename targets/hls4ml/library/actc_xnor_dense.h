// A matrix product of bits and weights of -1 and 1, as counts of agreements.
#ifndef ACTC_XNOR_DENSE_H_
#define ACTC_XNOR_DENSE_H_

#include "actc_xnor.h"

namespace nnet {

template <class data_T, class res_T, class CONFIG_T>
void actc_xnor_dense(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::results],
                     const typename CONFIG_T::weights_t weights[CONFIG_T::results * CONFIG_T::words],
                     const typename CONFIG_T::bias_t bias[CONFIG_T::results]) {
    #pragma HLS PIPELINE II=1
    actc_packed<CONFIG_T> bits;
    #pragma HLS ARRAY_PARTITION variable=bits.x complete
    #pragma HLS ARRAY_PARTITION variable=bits.known complete
    bits.clear();
    ACTC_UNROLL
    for (unsigned k = 0; k < CONFIG_T::n_in; k++) {
        #pragma HLS UNROLL
        bits.set(k, data[k].to_uint(), true);
    }
    actc_agreeing<CONFIG_T::results, CONFIG_T>(bits, CONFIG_T::n_in, res, weights, bias);
}

template <class data_T, class res_T, class CONFIG_T>
void actc_xnor_dense(actc_stream<data_T> &data, actc_stream<res_T> &res,
                     const typename CONFIG_T::weights_t weights[CONFIG_T::results * CONFIG_T::words],
                     const typename CONFIG_T::bias_t bias[CONFIG_T::results]) {
    actc_packed<CONFIG_T> bits;
    #pragma HLS ARRAY_PARTITION variable=bits.x complete
    #pragma HLS ARRAY_PARTITION variable=bits.known complete
    bits.clear();
    // hls4ml may give an image where a vector is read: position by position
    ACTC_PIPELINE
    for (unsigned i = 0; i < CONFIG_T::n_in / data_T::size; i++) {
        #pragma HLS PIPELINE II=1
        const data_T in = data.read();
        ACTC_UNROLL
        for (unsigned k = 0; k < data_T::size; k++) {
            #pragma HLS UNROLL
            bits.set(i * data_T::size + k, in[k].to_uint(), true);
        }
    }
    res_T out;
    ACTC_PACK(out)
    actc_agreeing<CONFIG_T::results, CONFIG_T>(bits, CONFIG_T::n_in, out.data, weights, bias);
    res.write(out);
}

} // namespace nnet

#endif
