package service

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const canary = "correct horse battery staple"

// Every way a value is commonly shown, and some uncommon ones.
func TestSecretNeverShows(t *testing.T) {
	type config struct {
		Name  string
		Token Secret
	}
	type client struct{ cfg config } // out of reach of Secret's methods
	secret := NewSecret(canary)
	values := map[string]any{
		"secret":     secret,
		"pointer":    &secret,
		"struct":     config{"a", secret},
		"unexported": client{config{"a", secret}},
		"slice":      []Secret{secret},
		"map":        map[string]Secret{"a": secret},
		"map key":    map[Secret]int{secret: 1},
		"error":      fmt.Errorf("connect with %v", secret),
	}
	for name, value := range values {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%10.3s", "%!"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		fmt.Fprintln(&out, value)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", value)
		if text, err := json.Marshal(value); err == nil {
			out.Write(text)
		}
		if text, err := xml.Marshal(value); err == nil {
			out.Write(text)
		}
		hexed := fmt.Sprintf("%x", canary)
		if shown := out.String(); strings.Contains(shown, canary) || strings.Contains(strings.ToLower(shown), hexed) {
			t.Errorf("%s shows the secret:\n%s", name, shown)
		}
	}
}

func TestSecretTellsWhetherItIsSet(t *testing.T) {
	var s Secret
	if s.IsSet() || s.Reveal() != "" || s.String() != "" || fmt.Sprintf("%v", s) != "" {
		t.Errorf("the zero secret holds something: %v", s)
	}
	if err := s.Decode(canary); err != nil {
		t.Fatal(err)
	}
	if !s.IsSet() || s.Reveal() != canary || s.String() != "[redacted]" {
		t.Errorf("decoded, yet %v", s)
	}
	if NewSecret("").IsSet() {
		t.Error("the empty text is set")
	}
	if b, _ := json.Marshal(struct{ Token Secret }{s}); string(b) != `{"Token":"[redacted]"}` {
		t.Errorf("as JSON: %s", b)
	}
}
