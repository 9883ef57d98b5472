package bus

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/fleet"
)

// The kinds of log, as they stand in subjects.
const (
	kindSnapshot   = "snapshot"
	kindPlan       = "plan"
	kindOutcome    = "outcome"
	kindQuarantine = "quarantine"
	kindRecord     = "record"
)

// Durable consumers of the PLAN stream: one for each service that executes plans, shared
// by its replicas.
const (
	Actuator = "actuator"
	Drainer  = "drainer"
)

// Figures of the topology.
const (
	planAge       = 30 * 24 * time.Hour // an open action is closed within hours; a month is for people
	outcomeAge    = 90 * 24 * time.Hour // the audit's memory
	ledgerAge     = 31 * 24 * time.Hour // longer than the plan it belongs to
	snapshotAge   = 15 * time.Minute    // an older view is none
	objectAge     = 20 * time.Minute    // longer than the message that names it
	recordAge     = 7 * 24 * time.Hour  // what went wrong is looked into within days
	snapshotsKept = 2                   // the newest, and one that a reader may still be at

	ledgerHistory  = 1  // records are rewritten often and nobody reads their past; ten of each would fill the bucket within days
	controlHistory = 64 // the most that a bucket keeps: every policy of late, who paused and why

	leaseTTL = 15 * time.Second // three missed renewals

	ackWait       = 30 * time.Second // a dead executor's plans go to another after this
	maxAckPending = 256              // plans in hand at once, over all replicas
)

// defaultMaxBytes is the disk all streams together may take on one server.
const defaultMaxBytes = 4 << 30

// Names of one generation. Buckets are streams too; their names follow NATS's own rules.
func streamName(g uint64, kind string) string {
	return fmt.Sprintf("NEAP_%d_%s", g, strings.ToUpper(kind))
}

func subjectPrefix(g uint64, kind string) string { return fmt.Sprintf("neap.v1.%d.%s.", g, kind) }

func subjectOf(g uint64, kind string, cluster fleet.ClusterName) string {
	return subjectPrefix(g, kind) + cluster.Key()
}

func ledgerBucket(g uint64) string { return fmt.Sprintf("neap-%d-ledger", g) }
func leaseBucket(g uint64) string  { return fmt.Sprintf("neap-%d-lease", g) }
func objectBucket(g uint64) string { return fmt.Sprintf("neap-%d-snapshots", g) }
func recordBucket(g uint64) string { return fmt.Sprintf("neap-%d-records", g) }

// controlBucket has no generation: it says which one is current.
const controlBucket = "neap-control"

// generationOf reads the generation out of the name of a PLAN stream.
func generationOf(stream string) (uint64, bool) {
	rest, ok := strings.CutPrefix(stream, "NEAP_")
	digits, ok2 := strings.CutSuffix(rest, "_PLAN")
	g, err := strconv.ParseUint(digits, 10, 64)
	return g, ok && ok2 && err == nil && g > 0 && stream == streamName(g, kindPlan)
}

// topology is everything that exists on the server for one generation.
type topology struct {
	streams   []jetstream.StreamConfig
	consumers []jetstream.ConsumerConfig // of the PLAN stream
}

// declare returns the topology of a generation. Shares of the disk are in percent.
func declare(g uint64, opts BootstrapOptions) topology {
	share := func(percent int64) int64 { return opts.MaxBytes / 100 * percent }
	t := topology{streams: []jetstream.StreamConfig{
		{
			Name: streamName(g, kindSnapshot), Subjects: []string{subjectPrefix(g, kindSnapshot) + "*"},
			Description: "newest view of each cluster", MaxAge: snapshotAge, MaxMsgsPerSubject: snapshotsKept,
			Discard: jetstream.DiscardOld, MaxBytes: share(15), AllowDirect: true,
		},
		{ // The latest view may come from any replica: a reader checks its age anyway.
			Name: "OBJ_" + objectBucket(g), Description: "views too large for a message",
			Subjects: []string{"$O." + objectBucket(g) + ".C.>", "$O." + objectBucket(g) + ".M.>"},
			MaxAge:   objectAge, MaxBytes: share(12), Discard: jetstream.DiscardNew, AllowRollup: true, AllowDirect: true,
		},
		{ // The oldest give way: a record that has lost a part is found out when it is read.
			Name: "OBJ_" + recordBucket(g), Description: "what plans were made from",
			Subjects: []string{"$O." + recordBucket(g) + ".C.>", "$O." + recordBucket(g) + ".M.>"},
			MaxAge:   recordAge, MaxBytes: share(8), Discard: jetstream.DiscardOld, AllowRollup: true, AllowDirect: true,
		},
		{ // A full PLAN stream refuses: no action is better than one that nobody can look up.
			Name: streamName(g, kindPlan), Subjects: []string{subjectPrefix(g, kindPlan) + "*"},
			Description: "what was decided: one chain of plans per cluster", MaxAge: planAge,
			Discard: jetstream.DiscardNew, MaxBytes: share(30), DenyDelete: true, DenyPurge: true,
		},
		{
			Name: streamName(g, kindOutcome), Subjects: []string{subjectPrefix(g, kindOutcome) + "*"},
			Description: "what came of it: intent before and result after each call", MaxAge: outcomeAge,
			Discard: jetstream.DiscardNew, MaxBytes: share(20), DenyDelete: true, DenyPurge: true,
		},
		{
			Name: streamName(g, kindQuarantine), Subjects: []string{subjectPrefix(g, kindQuarantine) + ">"},
			Description: "messages that nobody could read, with their headers", MaxAge: outcomeAge,
			Discard: jetstream.DiscardOld, MaxBytes: share(4), DenyDelete: true,
		},
		bucket(ledgerBucket(g), jetstream.StreamConfig{
			Description: "how far the executors got with each action", MaxMsgsPerSubject: ledgerHistory,
			MaxAge: ledgerAge, MaxBytes: share(9),
		}),
		bucket(leaseBucket(g), jetstream.StreamConfig{
			Description: "who works on what; steering only", MaxMsgsPerSubject: 1,
			MaxAge: opts.LeaseTTL, MaxBytes: share(1),
		}),
		bucket(controlBucket, jetstream.StreamConfig{
			Description: "the red button, policies, protection, the current generation", MaxMsgsPerSubject: controlHistory,
			MaxBytes: share(1),
		}),
	}}
	for i := range t.streams {
		s := &t.streams[i]
		s.Retention, s.Storage = jetstream.LimitsPolicy, jetstream.FileStorage
		s.Replicas = opts.Replicas
		s.MaxMsgs, s.MaxConsumers, s.MaxMsgSize = -1, -1, -1
		s.Duplicates = min(orForever(s.MaxAge), 2*time.Minute) // the server's own default; nothing relies on it
		if s.MaxMsgsPerSubject == 0 {
			s.MaxMsgsPerSubject = -1
		}
	}
	for _, name := range []string{Actuator, Drainer} {
		t.consumers = append(t.consumers, jetstream.ConsumerConfig{
			Durable: name, Description: "plans for the " + name + ", shared by its replicas",
			DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: ackWait, MaxAckPending: maxAckPending,
			MaxDeliver:    -1, // else the server parks a message where nobody looks
			FilterSubject: subjectPrefix(g, kindPlan) + "*",
		})
	}
	return t
}

// bucket completes the stream of a key-value bucket. Direct reads stay off: they may come
// from a replica that lags behind, and a button that was pressed must be seen.
func bucket(name string, s jetstream.StreamConfig) jetstream.StreamConfig {
	s.Name = "KV_" + name
	s.Subjects = []string{"$KV." + name + ".>"}
	s.Discard = jetstream.DiscardNew
	s.AllowRollup, s.DenyDelete, s.AllowDirect = true, true, false
	return s
}

func orForever(age time.Duration) time.Duration {
	if age == 0 {
		return 1<<63 - 1
	}
	return age
}
