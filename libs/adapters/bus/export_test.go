package bus

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// SetPace makes redeliveries faster, so that a test need not wait for minutes.
func (b *Bus) SetPace(p float64) { b.pace = p }

// Conn gives tests the raw connection, to send what no honest sender would.
func (b *Bus) Conn() *nats.Conn { return b.conn }

// JetStream gives tests the server's own interface.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Limits of the decoder, and names, that tests refer to.
const (
	MaxExpanded   = maxExpanded
	MaxFailures   = maxFailures
	MaxCompressed = maxCompressed
)

// Functions that are tested by themselves.
var (
	Chosen     = chosen
	Compress   = compress
	Decompress = decompress
)
