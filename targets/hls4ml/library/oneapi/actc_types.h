// Names of Intel's oneAPI compiler for what actc's layers use.
//
// Pipes have no values: they are types with static functions. A word that knows its pipe makes a
// stream of one, so that the layers are the same as for other tools.
#ifndef ACTC_TYPES_H_
#define ACTC_TYPES_H_

#include <sycl/ext/intel/ac_types/ac_int.hpp>
#include <tuple>

#include "nnet_common.h"
#include "nnet_types.h"

#define ACTC_UNROLL _Pragma("unroll")
#define ACTC_PIPELINE [[intel::initiation_interval(1)]]
#define ACTC_PACK(word)

namespace nnet {

template <int W> using actc_int = ac_int<W, true>;
template <int W> using actc_uint = ac_int<W, false>;

// What goes through a pipe at a time.
template <class pipe_T> struct actc_word {
    typedef typename ExtractPipeType<pipe_T>::value_type array_T;
    typedef typename array_T::value_type value_type;
    enum : unsigned { size = std::tuple_size<array_T>::value };
    value_type data[size];

    value_type &operator[](unsigned i) { return data[i]; }
    const value_type &operator[](unsigned i) const { return data[i]; }
};

template <class word_T> struct actc_stream;
template <class pipe_T> struct actc_stream<actc_word<pipe_T>> {
    typedef actc_word<pipe_T> word_T;

    word_T read() {
        const typename word_T::array_T in = pipe_T::read();
        word_T word;
        ACTC_UNROLL
        for (unsigned i = 0; i < word_T::size; i++)
            word[i] = in[i];
        return word;
    }
    void write(const word_T &word) {
        typename word_T::array_T out;
        ACTC_UNROLL
        for (unsigned i = 0; i < word_T::size; i++)
            out[i] = word[i];
        pipe_T::write(out);
    }
};

} // namespace nnet

#endif
