// Products of matrices with one or a few rows of activations.
//
// Packed weights are whole numbers with a scale and a minimum for each group of inputs; activations
// are rounded to 8 bits by runs of 32, so that a run is a product of small whole numbers, as in
// llama.cpp (github.com/ggml-org/ggml). The rows of a packed matrix lie in panels of 16: four bytes
// of each in turn, so that a vector holds the same four inputs (of 4 bits, eight) of all 16 and the
// sums of a panel are never added up across a vector. Numbers of 8 bits are multiplied less 128.

enum { RUN = 32, PANEL = 16, WORD = 4 };

typedef struct {
    const void *numbers;          // of packed ones (panels, cols x bits / 32, PANEL) words
    const uint16_t *scale, *low;  // fp16, (panels, cols / group, PANEL); none of plain ones
    const float *bias;            // or none
    int32_t rows, cols, group;
    int32_t bits;  // 4, 8, or plain: 16 (bf16), 32 (fp32)
} matrix;

typedef struct {  // a row of activations, as it is and rounded
    const float *x;
    int8_t *number;
    float *scale, *sum;  // of each run; the sum of what its numbers stand for
    int32_t *offset;     // what 128 of each number would add to a product of the run's, negative
} row;

// Round a run to whole numbers of up to 127 times what is returned; ``sum`` is theirs.
static inline float round_run(const float *x, int8_t *number, int32_t *sum) {
#ifdef HAS_AVX2
    __m256 part[4], most = _mm256_setzero_ps(), sign = _mm256_set1_ps(-0.0f);
    for (int i = 0; i < 4; i++) {
        part[i] = _mm256_loadu_ps(x + i * 8);
        most = _mm256_max_ps(most, _mm256_andnot_ps(sign, part[i]));
    }
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    float size = _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
    __m256 inverse = _mm256_set1_ps(size > 0 ? 127 / size : 0);
    __m256i whole[4];
    for (int i = 0; i < 4; i++) whole[i] = _mm256_cvtps_epi32(_mm256_mul_ps(part[i], inverse));
    __m256i all = _mm256_add_epi32(
        _mm256_add_epi32(whole[0], whole[1]), _mm256_add_epi32(whole[2], whole[3]));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    *sum = _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
    // Packing works within halves, and leaves the words in this order.
    __m256i bytes = _mm256_packs_epi16(
        _mm256_packs_epi32(whole[0], whole[1]), _mm256_packs_epi32(whole[2], whole[3]));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)number, bytes);
#else
    float size = 0;
    for (int i = 0; i < RUN; i++) size = fmaxf(size, fabsf(x[i]));
    float inverse = size > 0 ? 127 / size : 0;
    *sum = 0;
    for (int i = 0; i < RUN; i++) {
        float level = x[i] * inverse;
        int32_t whole = (int32_t)(level + (level < 0 ? -0.5f : 0.5f));
        number[i] = (int8_t)whole;
        *sum += whole;
    }
#endif
    return size / 127;
}

static void round_row(row *in, int cols) {
    for (int run = 0; run < cols / RUN; run++) {
        int32_t sum;
        float scale = round_run(in->x + run * RUN, in->number + run * RUN, &sum);
        in->scale[run] = scale;
        in->sum[run] = scale * (float)sum;
        in->offset[run] = -128 * sum;
    }
}

static inline int32_t word_of(const void *at) {
    int32_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

#if defined(HAS_VNNI)
// One panel's outputs of up to four rows: out (count, PANEL).
static inline __attribute__((always_inline)) void panel_of(
    const matrix *w, const row *in, const int count, const int bits, int panel, float *out) {
    int groups = w->cols / w->group, each = w->group / RUN, words = RUN * bits / 8 / WORD;
    const uint8_t *number = (const uint8_t *)w->numbers +
        (size_t)panel * (w->cols / RUN) * words * PANEL * WORD;
    const uint16_t *scales = w->scale + (size_t)panel * groups * PANEL;
    const uint16_t *lows = w->low + (size_t)panel * groups * PANEL;
    __m512i mask = _mm512_set1_epi8(15);
    __m512 sums[4];
    for (int r = 0; r < count; r++) sums[r] = _mm512_setzero_ps();
    for (int group = 0, run = 0; group < groups; group++, scales += PANEL, lows += PANEL) {
        __m512 scale = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)scales));
        __m512 low = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)lows));
        if (bits == 8) low = _mm512_fmadd_ps(scale, _mm512_set1_ps(128), low);
        for (int end = run + each; run < end; run++, number += words * PANEL * WORD) {
            __m512i first[4], second[4];
            for (int r = 0; r < count; r++) {
                first[r] = bits == 4 ? _mm512_setzero_si512() : _mm512_set1_epi32(in[r].offset[run]);
                second[r] = _mm512_setzero_si512();
            }
            for (int i = 0; i < 4; i++) {
                const uint8_t *at = number + i * PANEL * WORD;
                __m512i low_half = _mm512_loadu_si512(at), high_half;
                fetch_ahead(at);
                if (bits == 4) {
                    high_half = _mm512_and_si512(_mm512_srli_epi16(low_half, 4), mask);
                    low_half = _mm512_and_si512(low_half, mask);
                } else {
                    high_half = _mm512_loadu_si512(at + 4 * PANEL * WORD);
                    fetch_ahead(at + 4 * PANEL * WORD);
                }
                for (int r = 0; r < count; r++) {
                    const int8_t *x = in[r].number + run * RUN + i * WORD;
                    first[r] = _mm512_dpbusd_epi32(first[r], low_half, _mm512_set1_epi32(word_of(x)));
                    second[r] = _mm512_dpbusd_epi32(
                        second[r], high_half, _mm512_set1_epi32(word_of(x + RUN / 2)));
                }
            }
            for (int r = 0; r < count; r++) {
                __m512 sum = _mm512_cvtepi32_ps(_mm512_add_epi32(first[r], second[r]));
                __m512 by = _mm512_mul_ps(scale, _mm512_set1_ps(in[r].scale[run]));
                sums[r] = _mm512_fmadd_ps(by, sum, sums[r]);
                sums[r] = _mm512_fmadd_ps(low, _mm512_set1_ps(in[r].sum[run]), sums[r]);
            }
        }
    }
    for (int r = 0; r < count; r++) _mm512_storeu_ps(out + r * PANEL, sums[r]);
}
#elif defined(HAS_AVX2)
// Half of a panel's outputs of up to four rows: out (count, PANEL), of which 8 are written.
static inline __attribute__((always_inline)) void half_panel_of(
    const matrix *w, const row *in, const int count, const int bits, int panel, int half,
    float *out) {
    int groups = w->cols / w->group, each = w->group / RUN, words = RUN * bits / 8 / WORD;
    const uint8_t *number = (const uint8_t *)w->numbers + half * 8 * WORD +
        (size_t)panel * (w->cols / RUN) * words * PANEL * WORD;
    const uint16_t *scales = w->scale + (size_t)panel * groups * PANEL + half * 8;
    const uint16_t *lows = w->low + (size_t)panel * groups * PANEL + half * 8;
    __m256i mask = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256 sums[4];
    for (int r = 0; r < count; r++) sums[r] = _mm256_setzero_ps();
    for (int group = 0, run = 0; group < groups; group++, scales += PANEL, lows += PANEL) {
        __m256 scale = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)scales));
        __m256 low = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)lows));
        if (bits == 8) low = _mm256_fmadd_ps(scale, _mm256_set1_ps(128), low);
        for (int end = run + each; run < end; run++, number += words * PANEL * WORD) {
            __m256i found[4];
            for (int r = 0; r < count; r++) found[r] = _mm256_setzero_si256();
            for (int i = 0; i < words; i++) {
                __m256i both = _mm256_loadu_si256((const __m256i *)(number + i * PANEL * WORD));
                fetch_ahead(number + i * PANEL * WORD);
                if (bits == 4) {  // eight pairs of at most 2 x 15 x 127 fit 16 bits
                    __m256i first = _mm256_and_si256(both, mask);
                    __m256i second = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
                    for (int r = 0; r < count; r++) {
                        const int8_t *x = in[r].number + run * RUN + i * WORD;
                        __m256i pair = _mm256_add_epi16(
                            _mm256_maddubs_epi16(first, _mm256_set1_epi32(word_of(x))),
                            _mm256_maddubs_epi16(second, _mm256_set1_epi32(word_of(x + RUN / 2))));
                        found[r] = _mm256_add_epi16(found[r], pair);
                        IN_ORDER(found[r]);
                    }
                } else {
                    __m256i whole = _mm256_xor_si256(both, _mm256_set1_epi8((char)0x80));
                    __m256i size = _mm256_abs_epi8(whole);
                    for (int r = 0; r < count; r++) {
                        const int8_t *x = in[r].number + run * RUN + i * WORD;
                        __m256i turned = _mm256_sign_epi8(_mm256_set1_epi32(word_of(x)), whole);
                        found[r] = _mm256_add_epi32(
                            found[r], _mm256_madd_epi16(_mm256_maddubs_epi16(size, turned), ones));
                        IN_ORDER(found[r]);
                    }
                }
            }
            for (int r = 0; r < count; r++) {
                __m256i whole = bits == 4 ? _mm256_madd_epi16(found[r], ones) : found[r];
                __m256 by = _mm256_mul_ps(scale, _mm256_set1_ps(in[r].scale[run]));
                sums[r] = _mm256_fmadd_ps(by, _mm256_cvtepi32_ps(whole), sums[r]);
                sums[r] = _mm256_fmadd_ps(low, _mm256_set1_ps(in[r].sum[run]), sums[r]);
            }
        }
    }
    for (int r = 0; r < count; r++) _mm256_storeu_ps(out + r * PANEL + half * 8, sums[r]);
}

static inline __attribute__((always_inline)) void panel_of(
    const matrix *w, const row *in, const int count, const int bits, int panel, float *out) {
    half_panel_of(w, in, count, bits, panel, 0, out);
    half_panel_of(w, in, count, bits, panel, 1, out);
}
#else
static inline void panel_of(
    const matrix *w, const row *in, const int count, const int bits, int panel, float *out) {
    int groups = w->cols / w->group, each = w->group / RUN, words = RUN * bits / 8 / WORD;
    const uint8_t *numbers = (const uint8_t *)w->numbers +
        (size_t)panel * (w->cols / RUN) * words * PANEL * WORD;
    for (int r = 0; r < count; r++) {
        float *sums = out + r * PANEL;
        for (int at = 0; at < PANEL; at++) sums[at] = 0;
        for (int run = 0; run < w->cols / RUN; run++) {
            const uint8_t *number = numbers + (size_t)run * words * PANEL * WORD;
            const int8_t *x = in[r].number + run * RUN;
            size_t group = ((size_t)panel * groups + run / each) * PANEL;
            int32_t whole[PANEL] = {0};
            for (int i = 0; i < words * WORD; i++) {
                for (int at = 0; at < PANEL; at++) {
                    int both = number[(i / WORD * PANEL + at) * WORD + i % WORD];
                    whole[at] += bits == 4 ? (both & 15) * x[i] + (both >> 4) * x[i + RUN / 2]
                                           : (both - 128) * x[i];
                }
            }
            for (int at = 0; at < PANEL; at++) {
                float scale = half_to_float(w->scale[group + at]);
                float low = half_to_float(w->low[group + at]) + (bits == 8 ? 128 * scale : 0);
                sums[at] += scale * in[r].scale[run] * (float)whole[at] + low * in[r].sum[run];
            }
        }
    }
}
#endif

static void packed_panel(const matrix *w, const row *in, int count, int panel, float *out) {
    switch (8 * count + w->bits) {  // numbers that the compiler knows keep the sums in registers
    case 12: panel_of(w, in, 1, 4, panel, out); break;
    case 20: panel_of(w, in, 2, 4, panel, out); break;
    case 28: panel_of(w, in, 3, 4, panel, out); break;
    case 36: panel_of(w, in, 4, 4, panel, out); break;
    case 16: panel_of(w, in, 1, 8, panel, out); break;
    case 24: panel_of(w, in, 2, 8, panel, out); break;
    case 32: panel_of(w, in, 3, 8, panel, out); break;
    default: panel_of(w, in, 4, 8, panel, out); break;
    }
}

static inline float dot_plain(const matrix *w, const row *in, int at) {
    float sum = 0;
    if (w->bits == 16) {
        const uint16_t *number = (const uint16_t *)w->numbers + (size_t)at * w->cols;
        for (int i = 0; i < w->cols; i++) sum += bf16_to_float(number[i]) * in->x[i];
    } else {
        const float *number = (const float *)w->numbers + (size_t)at * w->cols;
        for (int i = 0; i < w->cols; i++) sum += number[i] * in->x[i];
    }
    return sum;
}

// The outputs of a panel, of which a matrix's last has fewer: of up to four rows, (count, PANEL).
static void product(const matrix *w, const row *in, int count, int panel, float *out) {
    int begin = panel * PANEL, end = begin + PANEL < w->rows ? begin + PANEL : w->rows;
    if (w->bits <= 8) {
        packed_panel(w, in, count, panel, out);
    } else {
        for (int at = begin; at < end; at++) {
            for (int r = 0; r < count; r++) out[r * PANEL + at - begin] = dot_plain(w, in + r, at);
        }
    }
    for (int r = 0; r < count && w->bias; r++) {
        for (int at = begin; at < end; at++) out[r * PANEL + at - begin] += w->bias[at];
    }
}

// The part of so many that one of several threads takes.
static inline void share(int count, int thread, int threads, int *from, int *to) {
    *from = (int)((int64_t)count * thread / threads);
    *to = (int)((int64_t)count * (thread + 1) / threads);
}

// The panels of a matrix that one of several threads computes.
static inline void share_panels(const matrix *w, int thread, int threads, int *from, int *to) {
    share((w->rows + PANEL - 1) / PANEL, thread, threads, from, to);
}
