package bus

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/neap-project/neap/libs/fleet"
)

// Limits of what is decompressed. The largest cluster is about 15 MiB, 2 compressed.
const (
	maxCompressed = 16 << 20
	maxExpanded   = 256 << 20
	// maxRatio is above what the most uniform cluster compresses by. Small payloads are
	// let off: they do no harm, and a cluster of equals may be tiny.
	maxRatio      = 100
	ratioFromSize = 8 << 20
)

// Both are stateless in the way they are used here, and safe for concurrent use.
var (
	encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	decoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxExpanded), zstd.WithDecodeAllCapLimit(true))
)

func compress(b []byte) []byte { return encoder.EncodeAll(b, make([]byte, 0, len(b)/4+64)) }

// decompress expands one frame that says how large it will be, within the limits.
func decompress(b []byte) ([]byte, error) {
	if len(b) > maxCompressed {
		return nil, fmt.Errorf("%w: %d bytes compressed; at most %d", fleet.ErrInvalid, len(b), maxCompressed)
	}
	var head zstd.Header
	if err := head.Decode(b); err != nil {
		return nil, fmt.Errorf("%w: zstd header: %w", fleet.ErrInvalid, err)
	}
	size := head.FrameContentSize
	if !head.HasFCS || head.Skippable || size > maxExpanded || (size > ratioFromSize && size > maxRatio*uint64(len(b))) {
		return nil, fmt.Errorf("%w: %d bytes would expand to %d (known: %t); at most %d, and %d-fold", fleet.ErrInvalid, len(b), size, head.HasFCS, maxExpanded, maxRatio)
	}
	out, err := decoder.DecodeAll(b, make([]byte, 0, size))
	if err != nil {
		return nil, fmt.Errorf("%w: zstd: %w", fleet.ErrInvalid, err)
	}
	return out, nil
}
