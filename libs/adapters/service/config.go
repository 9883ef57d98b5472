package service

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Config holds what every service can be told, whatever its trade.
type Config struct {
	LogFormat       string        `envconfig:"LOG_FORMAT" default:"json" desc:"how log records are written: json or text"`
	LogLevel        slog.Level    `envconfig:"LOG_LEVEL" default:"info" desc:"least severity that is logged: debug, info, warn or error"`
	HealthAddr      string        `envconfig:"HEALTH_ADDR" default:":8080" desc:"address of /livez, /readyz and /metrics; empty turns them off"`
	StallAfter      time.Duration `envconfig:"STALL_AFTER" default:"5m" desc:"liveness fails when a loop is stuck in one turn for longer than this"`
	ShutdownTimeout time.Duration `envconfig:"SHUTDOWN_TIMEOUT" default:"25s" desc:"time to finish after SIGTERM; keep it below the platform's own limit (30s in Kubernetes)"`

	OTLPEndpoint          string `envconfig:"OTEL_EXPORTER_OTLP_ENDPOINT" desc:"OTLP over HTTP base URL, such as http://collector:4318; empty exports nothing"`
	OTLPTracesEndpoint    string `envconfig:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" desc:"full URL for traces, instead of the base URL"`
	OTLPMetricsEndpoint   string `envconfig:"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" desc:"full URL for metrics, instead of the base URL"`
	OTLPHeaders           Secret `envconfig:"OTEL_EXPORTER_OTLP_HEADERS" desc:"headers of each export: key=value,key=value"`
	OTLPCertificate       string `envconfig:"OTEL_EXPORTER_OTLP_CERTIFICATE" desc:"PEM file of the authority that signed the collector's certificate, read anew at each connection"`
	OTLPClientCertificate string `envconfig:"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" desc:"PEM file of our client certificate, read anew at each connection"`
	OTLPClientKey         string `envconfig:"OTEL_EXPORTER_OTLP_CLIENT_KEY" desc:"PEM file of the key of our client certificate"`
	OTLPProtocol          string `envconfig:"OTEL_EXPORTER_OTLP_PROTOCOL" default:"http/protobuf" desc:"only http/protobuf is spoken"`
	TracesExporter        string `envconfig:"OTEL_TRACES_EXPORTER" default:"otlp" desc:"otlp or none"`
	MetricsExporter       string `envconfig:"OTEL_METRICS_EXPORTER" default:"otlp" desc:"otlp or none; /metrics is served either way"`

	Sampler      string  `envconfig:"OTEL_TRACES_SAMPLER" default:"parentbased_always_on" desc:"which traces are kept: [parentbased_]always_on, always_off or traceidratio; a plan with actions is kept by any but always_off"`
	SamplerShare float64 `envconfig:"OTEL_TRACES_SAMPLER_ARG" default:"1" desc:"share of the traces that traceidratio keeps, from 0 to 1"`
}

// Validate refuses settings that no process could run with.
func (c Config) Validate() error {
	return errors.Join(
		oneOf("LOG_FORMAT", c.LogFormat, "json", "text"),
		oneOf("OTEL_EXPORTER_OTLP_PROTOCOL", c.OTLPProtocol, "http/protobuf"),
		oneOf("OTEL_TRACES_EXPORTER", c.TracesExporter, "otlp", "none"),
		oneOf("OTEL_METRICS_EXPORTER", c.MetricsExporter, "otlp", "none"),
		c.validSampler(),
		httpURL("OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint),
		httpURL("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.OTLPTracesEndpoint),
		httpURL("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", c.OTLPMetricsEndpoint),
		c.readableFiles(),
		headerList("OTEL_EXPORTER_OTLP_HEADERS", c.OTLPHeaders),
		hostPort("HEALTH_ADDR", c.HealthAddr),
		positive("STALL_AFTER", c.StallAfter),
		positive("SHUTDOWN_TIMEOUT", c.ShutdownTimeout),
	)
}

// ConfigError is a setting the process cannot run with. It fits on one line
// and says which variable, what it holds and what to do. Main exits with
// status 2 for it.
type ConfigError struct {
	Variable string
	Value    string // as it may be shown: never a secret
	Remedy   string
}

// Invalid makes the error for a variable whose value cannot be used.
func Invalid(variable string, value any, remedy string) error {
	return &ConfigError{Variable: variable, Value: fmt.Sprintf("%q", fmt.Sprint(value)), Remedy: remedy}
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("%s is %s: %s", e.Variable, e.Value, e.Remedy)
}

// Load fills a T from the environment by its tags:
//
//	Beat time.Duration `envconfig:"BEAT" default:"15s" required:"false" desc:"time between two plans"`
//
// Structs may nest; a variable's name is its tag, wherever the struct sits. Any
// NAME may be given as NAME_FILE instead, the path of a file that holds the
// value. Where T, or a struct in it, has a Validate method, Load calls it. All
// that is wrong comes back at once, one ConfigError for each fault.
func Load[T any](prefix string) (T, error) {
	var cfg T
	vars, err := variablesOf(prefix, &cfg)
	if err != nil {
		return cfg, fmt.Errorf("read the tags of %T: %w", cfg, err)
	}
	// One at a time: values from files pass through the environment.
	environment.Lock()
	defer environment.Unlock()
	files, err := readFiles(vars)
	if err := errors.Join(err, missing(vars, files)); err != nil {
		return cfg, err
	}
	if err := process(prefix, &cfg, vars, files); err != nil {
		return cfg, err
	}
	return cfg, errors.Join(faults(validate(reflect.ValueOf(&cfg).Elem()))...)
}

// faults takes joined errors apart and names each only once: an embedded
// struct and the one around it may well say the same.
func faults(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if err == nil {
			return nil
		}
		return []error{err}
	}
	var all []error
	for _, part := range joined.Unwrap() {
		for _, fault := range faults(part) {
			if !slices.ContainsFunc(all, func(e error) bool { return e.Error() == fault.Error() }) {
				all = append(all, fault)
			}
		}
	}
	return all
}

var environment sync.Mutex

// variable is one setting as envconfig sees it.
type variable struct {
	key string // with the names of the structs around it
	tag string // as written in the tag, or empty
	reflect.StructTag
}

// name is what people call the variable.
func (v variable) name() string {
	if v.tag != "" {
		return v.tag
	}
	return v.key
}

func (v variable) required() bool {
	yes, _ := strconv.ParseBool(v.Get("required"))
	return yes
}

// names lists where the value may stand, first one wins.
func (v variable) names() []string {
	if v.tag == "" || v.tag == v.key {
		return []string{v.key}
	}
	return []string{v.key, v.tag}
}

func (v variable) lookup() (name, value string, ok bool) {
	for _, name := range v.names() {
		if value, ok := os.LookupEnv(name); ok {
			return name, value, true
		}
	}
	return v.name(), "", false
}

// variablesOf asks envconfig itself which variables a struct has, so that help
// and errors never tell another story than the parser. A template is the only
// door it offers.
func variablesOf(prefix string, cfg any) ([]variable, error) {
	var vars []variable
	add := func(key, tag string, tags reflect.StructTag) string {
		vars = append(vars, variable{key: key, tag: tag, StructTag: tags})
		return ""
	}
	tmpl, err := template.New("variables").Funcs(template.FuncMap{"add": add}).
		Parse(`{{range .}}{{add .Key .Alt .Tags}}{{end}}`)
	if err != nil {
		return nil, err
	}
	return vars, envconfig.Usaget(prefix, cfg, new(strings.Builder), tmpl)
}

// readFiles returns, by key, the content of every NAME_FILE that is set.
func readFiles(vars []variable) (map[string]string, error) {
	known := make(map[string]bool, len(vars))
	for _, v := range vars {
		for _, name := range v.names() {
			known[name] = true
		}
	}
	var errs []error
	contents := make(map[string]string)
	for _, v := range vars {
		for _, name := range v.names() {
			file := name + "_FILE"
			path := os.Getenv(file)
			// A variable that is itself called NAME_FILE means a path, not a content.
			if path == "" || known[file] {
				continue
			}
			if set, _, ok := v.lookup(); ok {
				errs = append(errs, Invalid(file, path, fmt.Sprintf("%s is set as well; unset one of the two", set)))
				continue
			}
			content, err := os.ReadFile(path)
			if err != nil {
				errs = append(errs, Invalid(file, path, fmt.Sprintf("%s; mount the file or make it readable", reason(err))))
				continue
			}
			contents[v.key] = strings.TrimSpace(string(content))
		}
	}
	return contents, errors.Join(errs...)
}

func reason(err error) string {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}

func missing(vars []variable, files map[string]string) error {
	var errs []error
	for _, v := range vars {
		_, value, ok := v.lookup()
		_, inFile := files[v.key]
		if v.required() && !inFile && (!ok || value == "") && v.Get("default") == "" {
			errs = append(errs, &ConfigError{
				Variable: v.name(),
				Value:    "missing",
				Remedy:   withMeaning(fmt.Sprintf("set it, or %s_FILE", v.name()), v),
			})
		}
	}
	return errors.Join(errs...)
}

// process lets envconfig parse. It reads the environment only, so contents of
// files stand there while it does; the variables are gone again afterwards.
func process(prefix string, cfg any, vars []variable, files map[string]string) error {
	for key, content := range files {
		if err := os.Setenv(key, content); err != nil {
			return fmt.Errorf("take over %s_FILE: %w", key, err)
		}
		defer os.Unsetenv(key)
	}
	err := envconfig.Process(prefix, cfg)
	parse, ok := errors.AsType[*envconfig.ParseError](err)
	if !ok {
		return err
	}
	v := vars[slices.IndexFunc(vars, func(v variable) bool { return v.key == parse.KeyName })]
	name, _, _ := v.lookup()
	shown := strconv.Quote(parse.Value)
	if _, inFile := files[v.key]; inFile {
		name, shown = v.name()+"_FILE", "a file whose content does not fit"
	}
	return &ConfigError{Variable: name, Value: shown, Remedy: withMeaning(expected(parse), v)}
}

func expected(err *envconfig.ParseError) string {
	switch typ := strings.TrimLeft(err.TypeName, "*[]"); {
	case typ == "time.Duration":
		return "use a number with a unit, such as 30s or 5m"
	case typ == "bool":
		return "use true or false"
	case typ == "slog.Level":
		return "use debug, info, warn or error"
	case strings.HasPrefix(typ, "uint"):
		return "use a whole number, 0 or more"
	case strings.HasPrefix(typ, "int"):
		return "use a whole number"
	case strings.HasPrefix(typ, "float"):
		return "use a number"
	default:
		return err.Err.Error()
	}
}

func withMeaning(remedy string, v variable) string {
	if desc := v.Get("desc"); desc != "" {
		return fmt.Sprintf("%s (%s)", remedy, desc)
	}
	return remedy
}

// validate calls Validate from the inside out, so that the first complaint is
// about the part and not about the whole.
func validate(v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || !v.CanAddr() || !v.Addr().CanInterface() {
		return nil
	}
	var errs []error
	for i := range v.NumField() {
		errs = append(errs, validate(v.Field(i)))
	}
	if checked, ok := v.Addr().Interface().(interface{ Validate() error }); ok {
		errs = append(errs, checked.Validate())
	}
	return errors.Join(errs...)
}

func oneOf(variable, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return Invalid(variable, value, "use "+strings.Join(allowed, " or "))
}

func positive(variable string, d time.Duration) error {
	if d > 0 {
		return nil
	}
	return Invalid(variable, d, "use a duration above zero, such as 30s")
}

func httpURL(variable, value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return Invalid(variable, value, "use a URL such as http://collector:4318")
	}
	if u.User != nil {
		return Invalid(variable, u.Redacted(), "keep credentials out of URLs; use OTEL_EXPORTER_OTLP_HEADERS_FILE")
	}
	return nil
}

func headerList(variable string, value Secret) error {
	if _, err := parseHeaders(value.Reveal()); err != nil {
		return Invalid(variable, value, "use key=value,key=value")
	}
	return nil
}

func hostPort(variable, value string) error {
	if value == "" {
		return nil
	}
	if _, port, err := net.SplitHostPort(value); err == nil && port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err == nil {
			return nil
		}
	}
	return Invalid(variable, value, "use host:port or :port, such as :8080, or leave it empty to serve nothing")
}

// defaultText is the default as help shows it.
func (v variable) defaultText() string {
	switch def := v.Get("default"); {
	case def != "":
		return def
	case v.required():
		return "required"
	default:
		return "-"
	}
}
