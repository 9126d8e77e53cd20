// Bits that agree with weights of -1 and 1: exclusive nors, and a tree of adders that counts them.
//
// Bits are in words, of CONFIG_T::word bits each and CONFIG_T::words of them; a weight of 1 is the
// bit 1. `known` says which bits there are: those that stand outside of the image count half where
// an agreement counts 2.
#ifndef ACTC_XNOR_H_
#define ACTC_XNOR_H_

#include "actc_types.h"

namespace nnet {

// Bits of the numbers up to N.
template <unsigned N> struct actc_bits { enum { value = 1 + actc_bits<N / 2>::value }; };
template <> struct actc_bits<0> { enum { value = 0 }; };

// How many of the N bits from `first` on are 1: lookups of up to six bits, and sums of halves.
template <int N, bool LOOKUP = (N <= 6)> struct actc_ones {
    typedef actc_uint<actc_bits<N>::value> result_T;

    static result_T of(unsigned word, int first) {
        #pragma HLS INLINE
        return result_T(actc_ones<N / 2>::of(word, first) + actc_ones<N - N / 2>::of(word, first + N / 2));
    }
};
template <int N> struct actc_ones<N, true> {
    typedef actc_uint<actc_bits<N>::value> result_T;

    static result_T of(unsigned word, int first) {
        #pragma HLS INLINE
        unsigned count = 0;
        ACTC_UNROLL
        for (int i = 0; i < N; i++) {
            #pragma HLS UNROLL
            count += (word >> (first + i)) & 1u;
        }
        return result_T(count);
    }
};

// How many bits of N words from `first` on are 1.
template <int N, class CONFIG_T> struct actc_words {
    typedef actc_uint<actc_bits<N * CONFIG_T::word>::value> result_T;

    static result_T ones(const unsigned words[], int first) {
        #pragma HLS INLINE
        return result_T(actc_words<N / 2, CONFIG_T>::ones(words, first) +
                        actc_words<N - N / 2, CONFIG_T>::ones(words, first + N / 2));
    }
};
template <class CONFIG_T> struct actc_words<1, CONFIG_T> {
    static typename actc_ones<CONFIG_T::word>::result_T ones(const unsigned words[], int first) {
        #pragma HLS INLINE
        return actc_ones<CONFIG_T::word>::of(words[first], 0);
    }
};

// The bits of a window, and which of them there are.
template <class CONFIG_T> struct actc_packed {
    unsigned x[CONFIG_T::words], known[CONFIG_T::words];

    void clear() {
        #pragma HLS INLINE
        ACTC_UNROLL
        for (int i = 0; i < CONFIG_T::words; i++) {
            #pragma HLS UNROLL
            x[i] = 0;
            known[i] = 0;
        }
    }
    void set(int place, unsigned bit, bool inside) {
        #pragma HLS INLINE
        x[place / CONFIG_T::word] |= (bit & 1u) << (place % CONFIG_T::word);
        known[place / CONFIG_T::word] |= (inside ? 1u : 0u) << (place % CONFIG_T::word);
    }
};

// factor * (counted * (bits that agree) + bits outside) + bias, for each of FILTERS rows of weights.
template <int FILTERS, class CONFIG_T, class res_T>
void actc_agreeing(const actc_packed<CONFIG_T> &bits, int terms, res_T res[],
                   const typename CONFIG_T::weights_t weights[], const typename CONFIG_T::bias_t bias[]) {
    #pragma HLS INLINE
    typedef actc_words<CONFIG_T::words, CONFIG_T> all_T;
    const int outside = CONFIG_T::counted == 2 ? terms - all_T::ones(bits.known, 0).to_int() : 0;
    ACTC_UNROLL
    for (int f = 0; f < FILTERS; f++) {
        #pragma HLS UNROLL
        unsigned agree[CONFIG_T::words];
        #pragma HLS ARRAY_PARTITION variable=agree complete
        ACTC_UNROLL
        for (int i = 0; i < CONFIG_T::words; i++) {
            #pragma HLS UNROLL
            agree[i] = bits.known[i] & ~(bits.x[i] ^ weights[f * CONFIG_T::words + i].to_uint());
        }
        const int total = CONFIG_T::counted * all_T::ones(agree, 0).to_int() + outside;
        res[f] = res_T(actc_int<32>(total) * CONFIG_T::factor + bias[f]);
    }
}

} // namespace nnet

#endif
