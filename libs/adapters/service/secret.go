package service

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret holds a text that must not leave the process by accident. Printing,
// logging and marshalling show "[redacted]"; only Reveal gives the text.
//
// The text sits behind a pointer since fmt looks through the methods of
// unexported fields: a service printed with %+v would show a plain string.
type Secret struct{ text *string }

// NewSecret wraps a text. The empty text is the unset secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text. Call it where the text is used, and nowhere else.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet tells whether there is a text to reveal.
func (s Secret) IsSet() bool { return s.text != nil }

// Decode makes Secret a field type of a Config.
func (s *Secret) Decode(text string) error {
	*s = NewSecret(text)
	return nil
}

// String returns "[redacted]", or nothing for an unset secret.
func (s Secret) String() string {
	if !s.IsSet() {
		return ""
	}
	return redacted
}

// Format redacts for every verb, also those that would go around String.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue redacts in log records.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText redacts in JSON, YAML and XML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
