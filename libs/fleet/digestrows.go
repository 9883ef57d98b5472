package fleet

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"time"
)

// rowHasher writes the rows of large tables so that different rows are different bytes, which
// is all that a hash needs: numbers are varints, texts have their length before them. A row
// is appended to a buffer that is passed along, not kept, for it has many small parts.
type rowHasher struct {
	w   io.Writer
	err error
}

func hashTable[T any](h *rowHasher, b []byte, rows []T, row func(*rowHasher, []byte, *T) []byte) []byte {
	b = numbers(b, int64(len(rows)))
	for i := range rows {
		b = row(h, b, &rows[i])
		if len(b) >= flushAt {
			b = h.flush(b)
		}
	}
	return b
}

// flush hands on what is gathered, and returns the buffer to go on with.
func (h *rowHasher) flush(b []byte) []byte {
	if h.err == nil {
		_, h.err = h.w.Write(b)
	}
	return b[:0]
}

func (h *rowHasher) count(b []byte, c *TaskCount) []byte {
	return numbers(b, int64(c.Instance), int64(c.Group), int64(c.Running), int64(c.Pending), int64(c.Stopping), int64(c.Protected))
}

func (h *rowHasher) instance(b []byte, i *Instance) []byte {
	b = texts(b, string(i.ID), string(i.ContainerInstance), string(i.Status), string(i.Type), string(i.Zone), string(i.Subnet),
		string(i.Lifecycle), string(i.Architecture), string(i.Image), i.AutoScalingGroup, i.CapacityProvider, i.Owner,
		string(i.LaunchSpec), string(i.Action), string(i.Drain), i.Spec, i.AgentVersion, i.Protected)
	b = moments(b, i.LaunchedAt, i.RegisteredAt)
	b = flags(b, i.AgentConnected, i.Impaired, len(i.OwnAttributes) > 0, len(i.UsedPorts) > 0, i.Notice != (Notice{}))
	b = numbers(b, int64(i.Attributes),
		i.Registered.CPUUnits, i.Registered.MemoryMiB, i.Registered.GPUs, i.Registered.ENIs,
		i.Remaining.CPUUnits, i.Remaining.MemoryMiB, i.Remaining.GPUs, i.Remaining.ENIs)
	// What most instances have not; the flags tell which there are.
	if len(i.OwnAttributes) > 0 {
		b = h.json(b, i.OwnAttributes)
	}
	if len(i.UsedPorts) > 0 {
		b = h.json(b, i.UsedPorts)
	}
	if i.Notice != (Notice{}) {
		b = h.json(b, i.Notice)
	}
	return b
}

func (h *rowHasher) json(b []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil && h.err == nil {
		h.err = err
	}
	return texts(b, string(text))
}

func numbers(b []byte, of ...int64) []byte {
	for _, v := range of {
		b = binary.AppendVarint(b, v)
	}
	return b
}

func texts(b []byte, of ...string) []byte {
	for _, v := range of {
		b = append(numbers(b, int64(len(v))), v...)
	}
	return b
}

func moments(b []byte, of ...time.Time) []byte {
	for _, v := range of {
		b = numbers(b, v.Unix(), int64(v.Nanosecond()))
	}
	return b
}

func flags(b []byte, of ...bool) []byte {
	for _, v := range of {
		if v {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return b
}
