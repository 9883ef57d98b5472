package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// WireVersion is the major version of the messages this build writes. A build reads its
// own version and the one before; writers are upgraded last.
const WireVersion = 1

// Message is what travels between the services.
type Message interface {
	Snapshot | Plan | Outcome | Record
}

// envelope is the form of every message: what it is, in which version, and the content.
type envelope struct {
	Kind    string          `json:"kind"`
	Version int             `json:"version"`
	Body    json.RawMessage `json:"body"`
}

// Encode writes a message in its wire form. It refuses a message that is not valid, so
// that what one service sends the next one accepts.
func Encode[T Message](m *T) ([]byte, error) {
	kind, validate := kindOf(m)
	if err := validate(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"kind":"%s","version":%d,"body":`, kind, WireVersion)
	if err := writeBody(&b, m); err != nil { // a time beyond the year 9999
		return nil, fmt.Errorf("%w: encode %s: %w", ErrInvalid, kind, err)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// writeBody writes the content of a message: a snapshot may have a million rows, and has
// a quicker way than the others.
func writeBody[T Message](b *bytes.Buffer, m *T) error {
	if s, ok := any(m).(*Snapshot); ok {
		return s.writeJSON(b)
	}
	body, err := json.Marshal(m)
	b.Write(body)
	return err
}

// Decode reads a message from its wire form and validates it. Fields that this build does
// not know are ignored, for a newer writer may add some; a version or a value of a closed
// set that it does not know is refused, for guessing would be worse than holding.
// Errors are [ErrInvalid] or [ErrVersion].
func Decode[T Message](b []byte) (T, error) {
	var m, none T
	kind, validate := kindOf(&m)
	var e envelope
	if err := unmarshalOne(b, &e); err != nil {
		return none, fmt.Errorf("%w: decode %s: %w", ErrInvalid, kind, err)
	}
	if e.Kind != kind {
		return none, fmt.Errorf("%w: decode %s: the message is a %q", ErrInvalid, kind, clip(e.Kind))
	}
	if e.Version != WireVersion {
		return none, fmt.Errorf("%w: decode %s: version %d, this build reads %d; upgrade it", ErrVersion, kind, e.Version, WireVersion)
	}
	if err := unmarshalOne(e.Body, &m); err != nil {
		return none, fmt.Errorf("%w: decode %s: %w", ErrInvalid, kind, err)
	}
	if err := validate(); err != nil {
		return none, fmt.Errorf("decode %s: %w", kind, err)
	}
	return m, nil
}

func kindOf[T Message](m *T) (kind string, validate func() error) {
	switch v := any(m).(type) {
	case *Snapshot:
		return "snapshot", v.Validate
	case *Plan:
		return "plan", v.Validate
	case *Outcome:
		return "outcome", v.Validate
	case *Record:
		return "record", v.Validate
	}
	panic(fmt.Sprintf("fleet: %T is no message", m))
}

// unmarshalOne decodes exactly one JSON value.
func unmarshalOne(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows after the message")
	}
	return nil
}
