package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/fleet"
)

// BootstrapOptions say what [Bootstrap] is to make sure of.
type BootstrapOptions struct {
	// Replicas is how many servers keep each message: 3 in production. 0 keeps what is
	// there, or makes 1.
	Replicas int
	// Generation to begin; 0 is the current one, or the first. A greater one than the
	// current ends the life of that: its streams are sealed for ever, and Neap starts
	// paused. It is for state that was lost or has gone backwards.
	Generation uint64
	// MaxBytes is the disk that all streams may take on one server; keep it below 60 % of
	// the volume. 0 keeps what is there, or makes 4 GiB.
	MaxBytes int64
	// LeaseTTL is how long a lease outlives a holder that went away; 0 is 15 s.
	LeaseTTL time.Duration
	// Paused is a reason to start the first generation paused; empty starts it running.
	// Without policies, and with policies in dry run, it changes nothing either way.
	Paused string
	// By is who bootstraps, for the record.
	By string
}

// Bootstrap creates the streams, buckets and consumers of Neap, or brings those that are
// there to the declared form. It is the only thing that creates anything, may be run any
// number of times, and refuses with [fleet.ErrConflict] to change what must not change: to
// shrink a limit, which would drop history, to alter a stream's nature, or to make streams
// anew that have been lost.
func Bootstrap(ctx context.Context, cfg Config, opts BootstrapOptions) error {
	cfg = cfg.withDefaults()
	conn, js, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := (&bootstrap{js: js, opts: opts}).run(ctx); err != nil {
		return fmt.Errorf("bootstrap NATS at %s: %w", cfg, err)
	}
	return nil
}

// bootstrap is one run of Bootstrap and what it finds on the server.
type bootstrap struct {
	js   jetstream.JetStream
	opts BootstrapOptions

	control  bool   // the control bucket is there
	current  uint64 // generation that it names; 0 is none
	revision uint64 // of that key
	newest   uint64 // newest generation of which there is a PLAN stream
	existing map[string]jetstream.StreamConfig
}

func (s *bootstrap) run(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return err
	}
	if err := s.choose(); err != nil {
		return err
	}
	t := declare(s.opts.Generation, s.opts)
	if err := s.seal(ctx); err != nil {
		return err
	}
	for i := range t.streams {
		if err := s.ensure(ctx, t.streams[i]); err != nil {
			return err
		}
	}
	for _, c := range t.consumers {
		if _, err := s.js.CreateOrUpdateConsumer(ctx, streamName(s.opts.Generation, kindPlan), c); err != nil {
			return fmt.Errorf("consumer %s: %w", c.Durable, explain(err))
		}
	}
	return s.begin(ctx)
}

// look finds out what is there.
func (s *bootstrap) look(ctx context.Context) error {
	if _, err := s.js.AccountInfo(ctx); err != nil {
		return missing("JetStream", err)
	}
	s.existing = map[string]jetstream.StreamConfig{}
	streams := s.js.ListStreams(ctx)
	for info := range streams.Info() {
		s.existing[info.Config.Name] = info.Config
		if g, ok := generationOf(info.Config.Name); ok {
			s.newest = max(s.newest, g)
		}
	}
	if err := streams.Err(); err != nil {
		return fmt.Errorf("list streams: %w", translate(err))
	}
	if _, s.control = s.existing["KV_"+controlBucket]; !s.control {
		return nil
	}
	kv, err := s.js.KeyValue(ctx, controlBucket)
	if err != nil {
		return missing(controlBucket, err)
	}
	s.current, s.revision, err = generation(ctx, kv)
	if errors.Is(err, ErrTopology) { // an earlier run got no further
		return nil
	}
	return err
}

// choose settles the generation and the other options, and refuses what cannot be meant.
func (s *bootstrap) choose() error {
	o := &s.opts
	if o.Replicas < 0 || o.Replicas > 5 {
		return fmt.Errorf("%w: %d replicas: use 1, 3 or 5", fleet.ErrInvalid, o.Replicas)
	}
	if o.MaxBytes < 0 || o.LeaseTTL < 0 || (o.LeaseTTL > 0 && o.LeaseTTL < time.Second) {
		return fmt.Errorf("%w: max bytes %d, lease TTL %s: use sizes above zero and a second or more", fleet.ErrInvalid, o.MaxBytes, o.LeaseTTL)
	}
	if o.Generation == 0 {
		o.Generation = max(s.current, s.newest, 1)
	}
	if least := max(s.current, s.newest); o.Generation < least {
		return fmt.Errorf("%w: generation %d: %d has begun already and generations never go back; use %d or leave it out", fleet.ErrConflict, o.Generation, least, least)
	}
	if o.LeaseTTL == 0 {
		o.LeaseTTL = leaseTTL
	}
	if o.By == "" {
		o.By = "neap bootstrap"
	}
	return nil
}

// begun reports whether the chosen generation is the current one already.
func (s *bootstrap) begun() bool { return s.current == s.opts.Generation }

// seal ends the generations before the chosen one: a process that still belongs to one of
// them can append no plan, record no progress, and so make no call.
func (s *bootstrap) seal(ctx context.Context) error {
	for g := uint64(1); g < s.opts.Generation; g++ {
		for _, name := range sealed(g) {
			cfg, ok := s.existing[name]
			if !ok || cfg.Sealed {
				continue
			}
			cfg.Sealed = true
			if _, err := s.js.UpdateStream(ctx, cfg); err != nil {
				return fmt.Errorf("seal %s: %w", name, explain(err))
			}
		}
	}
	return nil
}

// sealed are the streams of a generation without which its processes can do nothing.
func sealed(g uint64) []string {
	return []string{streamName(g, kindPlan), "KV_" + ledgerBucket(g), streamName(g, kindOutcome)}
}

// ensure creates a stream, or brings the one that is there to the declared form.
func (s *bootstrap) ensure(ctx context.Context, want jetstream.StreamConfig) error {
	have, ok := s.existing[want.Name]
	if !ok {
		if s.begun() && want.Name != "KV_"+controlBucket && want.Name != "OBJ_"+recordBucket(s.current) { // nothing is lost with records
			return fmt.Errorf("%w: generation %d has begun and its stream %s is gone: making it anew would hand out old sequences again; restore it, or begin a new generation with --generation %d",
				fleet.ErrConflict, s.current, want.Name, s.current+1)
		}
		want.Replicas = max(want.Replicas, 1)
		if s.opts.MaxBytes == 0 {
			want.MaxBytes = s.defaultBytes(want.Name)
		}
		if _, err := s.js.CreateStream(ctx, want); err != nil {
			return fmt.Errorf("create %s with %d replicas and %d MiB: %w", want.Name, want.Replicas, want.MaxBytes>>20, explain(err))
		}
		return nil
	}
	changed, err := s.adopt(have, want)
	if err != nil || changed == nil {
		return err
	}
	if _, err := s.js.UpdateStream(ctx, *changed); err != nil {
		return fmt.Errorf("update %s: %w", want.Name, explain(err))
	}
	return nil
}

// defaultBytes is a stream's share of the default disk space.
func (s *bootstrap) defaultBytes(name string) int64 {
	opts := s.opts
	opts.MaxBytes = defaultMaxBytes
	streams := declare(opts.Generation, opts).streams
	return streams[slices.IndexFunc(streams, func(c jetstream.StreamConfig) bool { return c.Name == name })].MaxBytes
}

// adopt returns the configuration that turns have into want: nil if nothing is to change,
// an error if it must not.
func (s *bootstrap) adopt(have, want jetstream.StreamConfig) (*jetstream.StreamConfig, error) {
	for _, f := range []struct {
		field      string
		have, want any
	}{
		{"subjects", have.Subjects, want.Subjects},
		{"retention", have.Retention, want.Retention},
		{"storage", have.Storage, want.Storage},
		{"discard", have.Discard, want.Discard},
		{"deny delete", have.DenyDelete, want.DenyDelete},
		{"deny purge", have.DenyPurge, want.DenyPurge},
		{"roll-up", have.AllowRollup, want.AllowRollup},
		{"direct reads", have.AllowDirect, want.AllowDirect},
		{"sealed", have.Sealed, false},
		{"mirror", have.Mirror != nil, false},
		{"sources", len(have.Sources), 0},
	} {
		if fmt.Sprint(f.have) != fmt.Sprint(f.want) {
			return nil, fmt.Errorf("%w: %s of %s is %v and must be %v: Neap did not make this stream, or somebody changed it; move it away and bootstrap again",
				fleet.ErrConflict, f.field, want.Name, f.have, f.want)
		}
	}
	next := have
	next.Description, next.Duplicates = want.Description, want.Duplicates
	if want.Replicas > 0 {
		next.Replicas = want.Replicas
	}
	for _, l := range []struct {
		limit      string
		have, want int64
		into       func(int64)
	}{
		{"max age", int64(have.MaxAge), int64(want.MaxAge), func(v int64) { next.MaxAge = time.Duration(v) }},
		{"max bytes", have.MaxBytes, want.MaxBytes, func(v int64) { next.MaxBytes = v }},
		{"history", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject, func(v int64) { next.MaxMsgsPerSubject = v }},
	} {
		switch {
		case l.limit == "max bytes" && l.want == 0: // as it is
		case unlimited(l.have) && !unlimited(l.want), !unlimited(l.want) && l.want < l.have:
			return nil, fmt.Errorf("%w: %s of %s is %d and would become %d: a smaller limit drops what is stored; change it with the nats tool if that is meant",
				fleet.ErrConflict, l.limit, want.Name, l.have, l.want)
		default:
			l.into(l.want)
		}
	}
	next.Duplicates = min(next.Duplicates, orForever(next.MaxAge))
	if next.Description == have.Description && next.Duplicates == have.Duplicates && next.Replicas == have.Replicas &&
		next.MaxAge == have.MaxAge && next.MaxBytes == have.MaxBytes && next.MaxMsgsPerSubject == have.MaxMsgsPerSubject {
		return nil, nil
	}
	return &next, nil
}

func unlimited(v int64) bool { return v <= 0 }

// begin sets the state of the red button, then names the generation: last of all, so that
// nobody uses what is not whole.
func (s *bootstrap) begin(ctx context.Context) error {
	kv, err := s.js.KeyValue(ctx, controlBucket)
	if err != nil {
		return missing(controlBucket, err)
	}
	state := button{Paused: s.opts.Paused != "", By: s.opts.By, Why: s.opts.Paused, At: time.Now().UTC()}
	switch {
	case s.current != 0 && !s.begun():
		state.Paused, state.Why = true, fmt.Sprintf("generation %d follows %d: check what runs, then resume", s.opts.Generation, s.current)
		if err := set(ctx, kv, keyPause, state); err != nil {
			return err
		}
	case s.current == 0 && s.newest != 0:
		state.Paused, state.Why = true, "the control bucket was lost: apply the policies again, then resume"
	}
	value, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if _, err := kv.Create(ctx, keyPause, value); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("set the initial state of the red button: %w", explain(err))
	}
	if s.begun() {
		return nil
	}
	if _, err := kv.Update(ctx, keyGeneration, []byte(strconv.FormatUint(s.opts.Generation, 10)), s.revision); err != nil {
		return fmt.Errorf("begin generation %d: %w", s.opts.Generation, explain(err))
	}
	return nil
}

func set(ctx context.Context, kv jetstream.KeyValue, key string, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := kv.Put(ctx, key, value); err != nil {
		return fmt.Errorf("write key %s: %w", key, explain(err))
	}
	return nil
}

// explain adds the remedy to what a server may answer to a creation.
func explain(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && (api.ErrorCode == codeInsufficientStorage || api.ErrorCode == codeInsufficientResources):
		return fmt.Errorf("%w: %w; give the server a larger volume, or Neap less of it with --max-bytes", fleet.ErrQuota, err)
	case errors.As(err, &api) && (api.ErrorCode == codeNotClustered || api.ErrorCode == codeNoPeers):
		return fmt.Errorf("%w: %w; start as many servers in a cluster, or ask for fewer replicas", fleet.ErrInvalid, err)
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w; run it again", fleet.ErrUnknown, err)
	}
	return translate(err)
}
