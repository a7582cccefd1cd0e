/** Hot element-wise loops, compiled once per instruction set.
 *
 *  CV_HOT marks a function of plain C loops; the loader picks the widest
 *  version this CPU has.  All versions give the same bytes: nothing is
 *  reassociated and nothing contracted (-ffp-contract=off).
 *
 *  Off where the loader cannot do it: other compilers, other architectures, and
 *  sanitizers (they are not yet set up when the loader resolves functions).
 */
#ifndef COVEY_SOLVER_SIMD_H
#define COVEY_SOLVER_SIMD_H

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) &&      \
    !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&                   \
    !defined(__SANITIZE_THREAD__)
#define CV_HOT __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CV_HOT
#endif

/** Before a loop whose turns do not touch one another's memory, where the
 *  compiler cannot see it. */
#if defined(__clang__)
#define CV_APART _Pragma("clang loop vectorize(assume_safety)")
#else
#define CV_APART _Pragma("GCC ivdep")
#endif

/** For helpers of hot loops: the code must become part of the loop. */
#define CV_INLINE static inline __attribute__((always_inline))

#endif
