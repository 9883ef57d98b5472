package sim

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"
)

// hash mixes the seed of the world with words. What chance decides about a thing depends
// on the seed and the thing alone, so one more call somewhere does not change the rest of
// the history.
func (w *World) hash(words ...string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	h := uint64(offset) ^ mix(w.cfg.Seed)
	for _, word := range words {
		for i := range len(word) {
			h = (h ^ uint64(word[i])) * prime
		}
		h = (h ^ 0xff) * prime // a word ends here
	}
	return mix(h)
}

// mix is the finalizer of SplitMix64: every bit of x changes half of the result.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// chance is a number in [0,1) that belongs to the words.
func (w *World) chance(words ...string) float64 {
	return float64(w.hash(words...)>>11) / (1 << 53)
}

// delay is d give or take half of it, in whole milliseconds.
func (w *World) delay(d time.Duration, words ...string) time.Duration {
	if d <= 0 {
		return 0
	}
	return (d/2 + time.Duration(float64(d)*w.chance(words...))).Truncate(time.Millisecond)
}

// hex is n hex digits for the next thing of a kind: what AWS calls an ID.
func (w *World) hex(kind string, n int) string {
	w.ids++
	h := w.hash(kind, strconv.FormatUint(w.ids, 10))
	var digits [32]byte
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], h)
	binary.BigEndian.PutUint64(raw[8:], mix(h))
	hex.Encode(digits[:], raw[:])
	return string(digits[:n])
}

// uuid is an ID in the form of a UUID.
func (w *World) uuid(kind string) string {
	h := w.hex(kind, 32)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
