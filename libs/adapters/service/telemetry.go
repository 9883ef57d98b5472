package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/neap-project/neap/libs/adapters/telemetry"
)

// exporters is what the parts of one process share: one span exporter, one set
// of metrics. Each part has a tracer provider of its own, so that its spans
// carry its own service name even where all parts run in one process.
type exporters struct {
	sampler  trace.Sampler
	registry *prometheus.Registry
	spans    trace.SpanProcessor // nil when nothing is exported
	meters   *metric.MeterProvider
}

func newExporters(ctx context.Context, name string, cfg Config) (*exporters, error) {
	t := &exporters{sampler: cfg.sampler(), registry: prometheus.NewRegistry()}
	t.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	scraped, err := otelprometheus.New(otelprometheus.WithRegisterer(t.registry), otelprometheus.WithTranslationStrategy(telemetry.Translation))
	if err != nil {
		return nil, fmt.Errorf("open Prometheus exporter: %w", err)
	}
	readers := []metric.Option{metric.WithReader(scraped)}

	if endpoint := cfg.metricsURL(); endpoint != "" {
		pushed, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(endpoint), otlpmetrichttp.WithHeaders(cfg.headers()), otlpmetrichttp.WithHTTPClient(cfg.otlpClient()))
		if err != nil {
			return nil, fmt.Errorf("open metric exporter to %s: %w", endpoint, err)
		}
		readers = append(readers, metric.WithReader(metric.NewPeriodicReader(pushed)))
	}
	if endpoint := cfg.tracesURL(); endpoint != "" {
		exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint), otlptracehttp.WithHeaders(cfg.headers()), otlptracehttp.WithHTTPClient(cfg.otlpClient()))
		if err != nil {
			return nil, fmt.Errorf("open trace exporter to %s: %w", endpoint, err)
		}
		t.spans = trace.NewBatchSpanProcessor(exporter)
	}
	t.meters = metric.NewMeterProvider(append(readers, metric.WithResource(resourceOf(name)))...)
	return t, nil
}

// tracers makes the tracer provider of one part. Without an exporter it still
// hands out identities, so that a trace passes through unbroken.
func (t *exporters) tracers(name string) *trace.TracerProvider {
	options := []trace.TracerProviderOption{trace.WithResource(resourceOf(name)), trace.WithSampler(t.sampler)}
	if t.spans != nil {
		options = append(options, trace.WithSpanProcessor(t.spans))
	}
	return trace.NewTracerProvider(options...)
}

// install makes the set-up the one instrumentation libraries find.
func (t *exporters) install(tracers *trace.TracerProvider, log *slog.Logger) {
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	otel.SetTracerProvider(tracers)
	otel.SetMeterProvider(t.meters)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("telemetry", "err", err) }))
}

func (t *exporters) metrics() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// close sends what is still held back.
func (t *exporters) close(ctx context.Context) error {
	var errs []error
	if t.spans != nil {
		errs = append(errs, t.spans.Shutdown(ctx))
	}
	return errors.Join(append(errs, t.meters.Shutdown(ctx))...)
}

// resourceOf says who measures. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
// win over what we know.
func resourceOf(name string) *resource.Resource {
	host, _ := os.Hostname()
	ours := resource.NewSchemaless(
		attribute.String("service.name", "neap-"+name),
		attribute.String("service.namespace", "neap"),
		attribute.String("service.version", Version()),
		attribute.String("service.instance.id", host),
	)
	merged, err := resource.Merge(ours, resource.Environment())
	if err != nil {
		return ours
	}
	return merged
}

func (c Config) tracesURL() string {
	return signalURL(c.TracesExporter, c.OTLPTracesEndpoint, c.OTLPEndpoint, "v1/traces")
}

func (c Config) metricsURL() string {
	return signalURL(c.MetricsExporter, c.OTLPMetricsEndpoint, c.OTLPEndpoint, "v1/metrics")
}

// signalURL follows the OTLP specification: the signal's own URL as it is, or
// the base URL with the signal's path.
func signalURL(exporter, own, base, path string) string {
	switch {
	case exporter == "none" || own == "" && base == "":
		return ""
	case own != "":
		return own
	default:
		return strings.TrimSuffix(base, "/") + "/" + path
	}
}

// otlpTimeout is how long one export may take; the OTLP specification's own default.
const otlpTimeout = 10 * time.Second

// otlpClient reads the certificates at each connection, so that rotated ones are taken up without
// a restart.
func (c Config) otlpClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is documented to be one
	files := c.otlpFiles()
	transport.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		cfg, err := files.Client(host)
		if err != nil {
			return nil, err
		}
		dialer := tls.Dialer{Config: cfg}
		return dialer.DialContext(ctx, network, addr)
	}
	return &http.Client{Transport: transport, Timeout: otlpTimeout}
}

func (c Config) otlpFiles() TLSFiles {
	return TLSFiles{CA: c.OTLPCertificate, Cert: c.OTLPClientCertificate, Key: c.OTLPClientKey}
}

// readableFiles reads the certificates once: later only a log would tell that they cannot be.
func (c Config) readableFiles() error {
	if _, err := c.otlpFiles().Client(""); err != nil {
		return Invalid("OTEL_EXPORTER_OTLP_CERTIFICATE", c.OTLPCertificate, fmt.Sprintf("%v; name PEM files that this process can read, the client's certificate and key both or neither", err))
	}
	return nil
}

func (c Config) headers() map[string]string {
	headers, _ := parseHeaders(c.OTLPHeaders.Reveal()) // Validate has looked
	return headers
}

func parseHeaders(list string) (map[string]string, error) {
	headers := make(map[string]string)
	for pair := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok || strings.TrimSpace(key) == "" {
			return nil, errors.New("no key=value pair")
		}
		decoded, err := url.PathUnescape(strings.TrimSpace(value))
		if err != nil {
			return nil, errors.New("a value is not URL-encoded")
		}
		headers[strings.TrimSpace(key)] = decoded
	}
	return headers, nil
}
