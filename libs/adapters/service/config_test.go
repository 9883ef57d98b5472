package service

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// settings has one field of each kind a Config may hold.
type settings struct {
	Beat    time.Duration `envconfig:"T_BEAT" default:"15s" desc:"time between two turns"`
	Address string        `envconfig:"T_ADDRESS" required:"true" desc:"where the bus is"`
	Token   Secret        `envconfig:"T_TOKEN" required:"true"`
	Dry     bool          `envconfig:"T_DRY" default:"true"`
	Workers uint8         `envconfig:"T_WORKERS" default:"4"`
	Share   float64       `envconfig:"T_SHARE" default:"0.25"`
	Level   slog.Level    `envconfig:"T_LEVEL" default:"warn"`
	Zones   []string      `envconfig:"T_ZONES"`
	Redis   nested
}

type nested struct {
	URL    string `envconfig:"T_REDIS_URL" default:"redis://localhost"`
	CA     string `envconfig:"T_REDIS_CA" desc:"next to a variable that is called like its file"`
	CAFile string `envconfig:"T_REDIS_CA_FILE" desc:"a path, not a content"`
}

func (n nested) Validate() error {
	if !strings.HasPrefix(n.URL, "redis://") {
		return Invalid("T_REDIS_URL", n.URL, "use redis://host:port")
	}
	return nil
}

func (s settings) Validate() error {
	if s.Beat < time.Second {
		return Invalid("T_BEAT", s.Beat, "use at least 1s")
	}
	return nil
}

func TestLoad(t *testing.T) {
	t.Setenv("T_ADDRESS", "nats://a")
	t.Setenv("T_TOKEN", "s3cret")
	t.Setenv("T_ZONES", "a,b")
	t.Setenv("T_REDIS_CA_FILE", "/etc/ca.pem")
	got, err := Load[settings]("")
	if err != nil {
		t.Fatal(err)
	}
	if got.Beat != 15*time.Second || got.Address != "nats://a" || !got.Dry || got.Workers != 4 ||
		got.Share != 0.25 || got.Level != slog.LevelWarn || len(got.Zones) != 2 || got.Redis.URL != "redis://localhost" {
		t.Errorf("loaded %+v", got)
	}
	if got.Token.Reveal() != "s3cret" {
		t.Errorf("token is %q", got.Token.Reveal())
	}
	if got.Redis.CAFile != "/etc/ca.pem" || got.Redis.CA != "" {
		t.Errorf("a variable called _FILE was read as a file: %q", got.Redis.CAFile)
	}
}

func TestLoadFromFiles(t *testing.T) {
	t.Setenv("T_ADDRESS", "nats://a")
	t.Setenv("T_TOKEN_FILE", write(t, "  from a file\n\n"))
	t.Setenv("T_BEAT_FILE", write(t, "3s\n"))
	t.Setenv("T_REDIS_URL_FILE", write(t, "redis://elsewhere"))
	got, err := Load[settings]("")
	if err != nil {
		t.Fatal(err)
	}
	if got.Token.Reveal() != "from a file" || got.Beat != 3*time.Second || got.Redis.URL != "redis://elsewhere" {
		t.Errorf("loaded %+v, token %q", got, got.Token.Reveal())
	}
	for _, name := range os.Environ() {
		if strings.HasPrefix(name, "T_TOKEN=") || strings.HasPrefix(name, "T_BEAT=") || strings.Contains(name, "REDIS_URL=") {
			t.Errorf("%s stayed in the environment", name)
		}
	}
}

func TestLoadWithPrefix(t *testing.T) {
	t.Setenv("DEMO_T_BEAT", "7s")
	t.Setenv("T_ADDRESS", "nats://shared")
	t.Setenv("DEMO_T_TOKEN_FILE", write(t, "x"))
	got, err := Load[settings]("demo")
	if err != nil {
		t.Fatal(err)
	}
	if got.Beat != 7*time.Second || got.Address != "nats://shared" || got.Token.Reveal() != "x" {
		t.Errorf("loaded %+v", got)
	}
}

func TestLoadErrors(t *testing.T) {
	good := map[string]string{"T_ADDRESS": "nats://a", "T_TOKEN": "hush"}
	secret := write(t, "hush hush")
	tests := map[string]struct {
		env  map[string]string
		want []string
	}{
		"nothing set": {map[string]string{"T_ADDRESS": "", "T_TOKEN": ""}, []string{
			"T_ADDRESS is missing: set it, or T_ADDRESS_FILE (where the bus is)",
			"T_TOKEN is missing: set it, or T_TOKEN_FILE",
		}},
		"duration":         {map[string]string{"T_BEAT": "fast"}, []string{`T_BEAT is "fast": use a number with a unit, such as 30s or 5m (time between two turns)`}},
		"empty duration":   {map[string]string{"T_BEAT": ""}, []string{`T_BEAT is "": use a number with a unit, such as 30s or 5m (time between two turns)`}},
		"bool":             {map[string]string{"T_DRY": "maybe"}, []string{`T_DRY is "maybe": use true or false`}},
		"number":           {map[string]string{"T_WORKERS": "-1"}, []string{`T_WORKERS is "-1": use a whole number, 0 or more`}},
		"number too large": {map[string]string{"T_WORKERS": "256"}, []string{`T_WORKERS is "256": use a whole number, 0 or more`}},
		"float":            {map[string]string{"T_SHARE": "half"}, []string{`T_SHARE is "half": use a number`}},
		"level":            {map[string]string{"T_LEVEL": "loud"}, []string{`T_LEVEL is "loud": use debug, info, warn or error`}},
		"own check":        {map[string]string{"T_BEAT": "5ms"}, []string{`T_BEAT is "5ms": use at least 1s`}},
		"check of a part": {map[string]string{"T_REDIS_URL": "http://x", "T_BEAT": "5ms"}, []string{
			`T_REDIS_URL is "http://x": use redis://host:port`,
			`T_BEAT is "5ms": use at least 1s`,
		}},
		"prefixed by the part's name": {map[string]string{"REDIS_T_REDIS_URL": "http://x"}, []string{`T_REDIS_URL is "http://x": use redis://host:port`}},
		"file not there":              {map[string]string{"T_BEAT_FILE": "/no/such"}, []string{`T_BEAT_FILE is "/no/such": no such file or directory; mount the file or make it readable`}},
		"value and file":              {map[string]string{"T_TOKEN_FILE": secret}, []string{`T_TOKEN_FILE is "` + secret + `": T_TOKEN is set as well; unset one of the two`}},
		"file with nonsense":          {map[string]string{"T_BEAT_FILE": secret}, []string{`T_BEAT_FILE is a file whose content does not fit: use a number with a unit, such as 30s or 5m (time between two turns)`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for k, v := range good {
				t.Setenv(k, v)
			}
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			_, err := Load[settings]("")
			if _, ok := errors.AsType[*ConfigError](err); !ok {
				t.Fatalf("err = %v, want a ConfigError", err)
			}
			if got, want := err.Error(), strings.Join(test.want, "\n"); got != want {
				t.Errorf("\ngot  %s\nwant %s", got, want)
			}
			if strings.Contains(err.Error(), "hush") {
				t.Error("the error tells a secret")
			}
		})
	}
}

func TestCommonConfig(t *testing.T) {
	tests := map[string]struct{ name, value, want string }{
		"default":           {"LOG_FORMAT", "json", ""},
		"health off":        {"HEALTH_ADDR", "", ""},
		"health any port":   {"HEALTH_ADDR", "127.0.0.1:0", ""},
		"format":            {"LOG_FORMAT", "xml", `LOG_FORMAT is "xml": use json or text`},
		"health port":       {"HEALTH_ADDR", "8080", `HEALTH_ADDR is "8080": use host:port or :port, such as :8080, or leave it empty to serve nothing`},
		"health range":      {"HEALTH_ADDR", ":80800", `HEALTH_ADDR is ":80800": use host:port or :port, such as :8080, or leave it empty to serve nothing`},
		"shutdown":          {"SHUTDOWN_TIMEOUT", "-1s", `SHUTDOWN_TIMEOUT is "-1s": use a duration above zero, such as 30s`},
		"stall":             {"STALL_AFTER", "0s", `STALL_AFTER is "0s": use a duration above zero, such as 30s`},
		"endpoint":          {"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", `OTEL_EXPORTER_OTLP_ENDPOINT is "collector:4317": use a URL such as http://collector:4318`},
		"endpoint password": {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hush@h", `OTEL_EXPORTER_OTLP_ENDPOINT is "http://u:xxxxx@h": keep credentials out of URLs; use OTEL_EXPORTER_OTLP_HEADERS_FILE`},
		"protocol":          {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", `OTEL_EXPORTER_OTLP_PROTOCOL is "grpc": use http/protobuf`},
		"headers":           {"OTEL_EXPORTER_OTLP_HEADERS", "hush", `OTEL_EXPORTER_OTLP_HEADERS is "[redacted]": use key=value,key=value`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv(test.name, test.value)
			_, err := Load[Config]("")
			if got := text(err); got != test.want {
				t.Errorf("\ngot  %s\nwant %s", got, test.want)
			}
		})
	}
}

// An embedded Config lends its Validate to the struct around it: asked twice,
// complained of once.
func TestEmbeddedConfigComplainsOnce(t *testing.T) {
	type own struct {
		Config
		Beat time.Duration `envconfig:"T_BEAT" default:"1s"`
	}
	t.Setenv("LOG_FORMAT", "xml")
	_, err := Load[own]("")
	if want := `LOG_FORMAT is "xml": use json or text`; text(err) != want {
		t.Errorf("got %v", err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
