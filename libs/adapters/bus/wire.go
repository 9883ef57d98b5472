package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/fleet"
)

// Headers of a message, beside Nats-Msg-Id, traceparent and tracestate.
const (
	headerVersion    = "Neap-Version"    // major version of the schema
	headerGeneration = "Neap-Generation" // of the sender
	headerCluster    = "Neap-Cluster"    // in its encoded form
	headerSHA256     = "Neap-Sha256"     // of the payload as sent, wherever it lies
	headerEncoding   = "Content-Encoding"
	headerObject     = "Neap-Object"       // the payload lies in the object store under this name
	headerReadAt     = "Neap-Read-Started" // of a snapshot: what orders them

	headerReason   = "Neap-Quarantine-Reason"
	headerStream   = "Neap-Quarantine-Stream"
	headerSequence = "Neap-Quarantine-Sequence"
	headerConsumer = "Neap-Quarantine-Consumer"
	headerCut      = "Neap-Quarantine-Cut" // size of a payload that did not fit
)

// compressAbove is the size from which plans and outcomes are compressed. Smaller ones
// stay readable with the tools of NATS.
const compressAbove = 32 << 10

// headerRoom is kept free of the server's maximum payload, which counts headers too.
const headerRoom = 8 << 10

// Stored is a message as the log holds it.
type Stored[T any] struct {
	Value T
	Seq   uint64    // its sequence in the stream
	At    time.Time // when NATS stored it: good for the age of a beat, not for decisions
	Trace trace.SpanContext
}

// raw is a stored message that nobody has looked at yet.
type raw struct {
	subject string
	header  nats.Header
	data    []byte
	seq     uint64
	at      time.Time
}

func rawOf(m *jetstream.RawStreamMsg) raw {
	return raw{subject: m.Subject, header: m.Header, data: m.Data, seq: m.Sequence, at: m.Time}
}

func rawFrom(m jetstream.Msg) (raw, *jetstream.MsgMetadata, error) {
	meta, err := m.Metadata()
	if err != nil {
		return raw{}, nil, fmt.Errorf("%w: message on %s is not from a stream: %w", fleet.ErrInvalid, m.Subject(), err)
	}
	return raw{subject: m.Subject(), header: m.Headers(), data: m.Data(), seq: meta.Sequence.Stream, at: meta.Timestamp}, meta, nil
}

// identity is what every message says about itself.
func identity[T fleet.Message](m *T) (kind string, cluster fleet.ClusterName, generation uint64) {
	switch v := any(m).(type) {
	case *fleet.Snapshot:
		return kindSnapshot, v.Cluster, v.Generation
	case *fleet.Plan:
		return kindPlan, v.Cluster, v.Generation
	case *fleet.Outcome:
		return kindOutcome, v.Cluster, v.Generation
	case *fleet.Record:
		return kindRecord, v.Cluster, v.Generation
	}
	panic(fmt.Sprintf("bus: %T is no message", m))
}

// belongs checks that a message is of this generation.
func (b *Bus) belongs(kind string, generation uint64) error {
	if generation != b.generation {
		return fmt.Errorf("%w: %s of generation %d on a bus of generation %d; set it from Bus.Generation", fleet.ErrInvalid, kind, generation, b.generation)
	}
	return nil
}

// pack makes the message that carries an encoded value. The payload is compressed if it is
// larger than limit.
func (b *Bus) pack(ctx context.Context, kind string, cluster fleet.ClusterName, id string, encoded []byte, limit int) *nats.Msg {
	msg := nats.NewMsg(subjectOf(b.generation, kind, cluster))
	msg.Data = encoded
	if len(encoded) > limit {
		msg.Data = compress(encoded)
		msg.Header.Set(headerEncoding, "zstd")
	}
	msg.Header.Set(jetstream.MsgIDHeader, id)
	msg.Header.Set(headerVersion, strconv.Itoa(fleet.WireVersion))
	msg.Header.Set(headerGeneration, strconv.FormatUint(b.generation, 10))
	msg.Header.Set(headerCluster, cluster.Key())
	msg.Header.Set(headerSHA256, fleet.Digest(msg.Data))
	inject(ctx, msg.Header)
	return msg
}

// unpack checks a message from the outside in and returns what it carries. Errors are
// fleet.ErrInvalid or fleet.ErrVersion: they say that it will never be readable, or that
// this build is too old; anything else is a fault on the way.
func unpack[T fleet.Message](ctx context.Context, b *Bus, m raw) (T, error) {
	var none T
	kind, _, _ := identity(&none)
	key, ok := strings.CutPrefix(m.subject, subjectPrefix(b.generation, kind))
	if !ok {
		return none, fmt.Errorf("%w: a %s on %q", fleet.ErrInvalid, kind, m.subject)
	}
	cluster, err := fleet.ClusterFromKey(key)
	if err != nil {
		return none, fmt.Errorf("%s on %q: %w", kind, m.subject, err)
	}
	payload, err := b.payload(ctx, m)
	if err != nil {
		return none, fmt.Errorf("%s %d of %s: %w", kind, m.seq, cluster, err)
	}
	v, err := fleet.Decode[T](payload)
	if err != nil {
		return none, fmt.Errorf("%s %d of %s: %w", kind, m.seq, cluster, err)
	}
	_, of, generation := identity(&v)
	if of != cluster {
		return none, fmt.Errorf("%w: %s %d on the subject of cluster %q is about %q", fleet.ErrInvalid, kind, m.seq, cluster, of)
	}
	if err := b.belongs(kind, generation); err != nil {
		return none, err
	}
	return v, nil
}

// foreign reports whether no release of Neap wrote a message: every one has set the version.
// A message that claims one is ours, however damaged.
func foreign(m raw) bool { return len(m.header.Values(headerVersion)) == 0 }

// payload checks the headers and gives the encoded value, fetched and decompressed.
func (b *Bus) payload(ctx context.Context, m raw) ([]byte, error) {
	if foreign(m) {
		return nil, fmt.Errorf("%w: %w: header %s is missing", fleet.ErrInvalid, ErrForeign, headerVersion)
	}
	switch v := m.header.Get(headerVersion); v {
	case strconv.Itoa(fleet.WireVersion):
	case "":
		return nil, fmt.Errorf("%w: header %s is empty", fleet.ErrInvalid, headerVersion)
	default:
		return nil, fmt.Errorf("%w: header %s is %.20q, this build reads %d; upgrade it", fleet.ErrVersion, headerVersion, v, fleet.WireVersion)
	}
	if v := m.header.Get(headerGeneration); v != strconv.FormatUint(b.generation, 10) {
		return nil, fmt.Errorf("%w: header %s is %.20q, expected %d", fleet.ErrInvalid, headerGeneration, v, b.generation)
	}
	data := m.data
	if name := m.header.Get(headerObject); name != "" {
		var err error
		if data, err = object(ctx, b.objects, name); err != nil {
			return nil, err
		}
	}
	if sum := fleet.Digest(data); sum != m.header.Get(headerSHA256) {
		return nil, fmt.Errorf("%w: header %s does not fit the payload of %d bytes", fleet.ErrInvalid, headerSHA256, len(data))
	}
	switch v := m.header.Get(headerEncoding); v {
	case "":
		return data, nil
	case "zstd":
		return decompress(data)
	default:
		return nil, fmt.Errorf("%w: header %s is %.20q, expected zstd", fleet.ErrInvalid, headerEncoding, v)
	}
}

// traces writes and reads the trace context of W3C. Baggage stays at home.
var traces propagation.TraceContext

// inject puts the trace context into headers.
func inject(ctx context.Context, h nats.Header) { traces.Inject(ctx, carrier(h)) }

// withTrace returns a context that carries the span in which a message was sent, as a
// remote span: link to it, or continue it. Data from outside, never authority.
func withTrace(ctx context.Context, h nats.Header) context.Context {
	return traces.Extract(ctx, carrier(h))
}

func traceOf(h nats.Header) trace.SpanContext {
	return trace.SpanContextFromContext(withTrace(context.Background(), h))
}

// carrier gives the propagator access to headers, whose case NATS keeps.
type carrier nats.Header

// Get implements propagation.TextMapCarrier. Values that no honest sender would write are
// not looked at.
func (c carrier) Get(key string) string {
	const longest = 512 // tracestate's own limit
	if v := nats.Header(c).Get(key); len(v) <= longest {
		return v
	}
	return ""
}

// Set implements propagation.TextMapCarrier.
func (c carrier) Set(key, value string) { nats.Header(c).Set(key, value) }

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}

// strip removes the headers by which the server itself is asked to trace messages: from
// outside they would make it send copies to where the sender likes.
func strip(h nats.Header) {
	for k := range h {
		if strings.HasPrefix(strings.ToLower(k), "nats-trace-") {
			delete(h, k)
		}
	}
}
