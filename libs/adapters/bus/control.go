package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/fleet"
)

// Control is the red button, the policies, the protected instances and the current
// generation. Everything is read from the leader. If it cannot be read, treat every
// cluster as paused: doubt means no call.
type Control struct {
	kv  jetstream.KeyValue
	bus *Bus
}

// AllClusters in Pause, Resume and Paused means the whole installation.
const AllClusters fleet.ClusterName = ""

// Keys of the control bucket.
const (
	keyGeneration = "generation"
	keyPause      = "pause"
	keyPolicy     = "policy"
	keyProtect    = "protect"
	keyRoll       = "roll"
)

// button is the stored state of a red button: who pressed it last, or let it go.
type button struct {
	Paused bool      `json:"paused"`
	By     string    `json:"by"`
	Why    string    `json:"why"`
	At     time.Time `json:"at"`
}

func pauseKey(cluster fleet.ClusterName) (string, error) {
	if cluster == AllClusters {
		return keyPause, nil
	}
	return keyPause + "." + cluster.Key(), cluster.Validate()
}

// Pause stops Neap for a cluster, or for [AllClusters]: no call that changes anything is
// made from the moment this returns. It holds until somebody resumes.
func (c *Control) Pause(ctx context.Context, cluster fleet.ClusterName, by, why string) error {
	return wrap(c.press(ctx, cluster, button{Paused: true, By: by, Why: why}), "pause %s", orAll(cluster))
}

// Resume undoes Pause for the same cluster or for [AllClusters]. A cluster runs only if
// neither its own button nor the one for all is pressed.
func (c *Control) Resume(ctx context.Context, cluster fleet.ClusterName, by, why string) error {
	return wrap(c.press(ctx, cluster, button{By: by, Why: why}), "resume %s", orAll(cluster))
}

func (c *Control) press(ctx context.Context, cluster fleet.ClusterName, b button) error {
	key, err := pauseKey(cluster)
	if err != nil {
		return err
	}
	if b.By == "" || b.Why == "" {
		return fmt.Errorf("%w: by %q, why %q: say who does it and for what reason", fleet.ErrInvalid, b.By, b.Why)
	}
	b.At = time.Now().UTC()
	return c.put(ctx, key, b)
}

// Paused reads whether a cluster is paused; the button for all counts too. An error means
// that it could not be read: act as if it were paused.
func (c *Control) Paused(ctx context.Context, cluster fleet.ClusterName) (fleet.Pause, error) {
	all, err := c.button(ctx, AllClusters)
	if errors.Is(err, fleet.ErrNotFound) {
		return fleet.Pause{}, fmt.Errorf("%w: the control bucket lost its state: press or release the button for all clusters with \"neap pause\" or \"neap resume\"", ErrTopology)
	}
	if err != nil || all.Paused() || cluster == AllClusters {
		return all, wrap(err, "read whether %s is paused", orAll(cluster))
	}
	own, err := c.button(ctx, cluster)
	if errors.Is(err, fleet.ErrNotFound) {
		return fleet.Pause{}, nil
	}
	return own, wrap(err, "read whether %s is paused", cluster)
}

func (c *Control) button(ctx context.Context, cluster fleet.ClusterName) (fleet.Pause, error) {
	key, err := pauseKey(cluster)
	if err != nil {
		return fleet.Pause{}, err
	}
	var b button
	if err := c.get(ctx, key, &b); err != nil {
		return fleet.Pause{}, err
	}
	if !b.Paused {
		return fleet.Pause{}, nil
	}
	if b.At.IsZero() { // pressed, whatever else is wrong with it
		b.At = time.Unix(0, 0).UTC()
	}
	return fleet.Pause{By: b.By, Why: b.Why, Since: b.At}, nil
}

// Generation reads the current generation. A process that belongs to another one must not
// call AWS any more.
func (c *Control) Generation(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	g, _, err := generation(ctx, c.kv)
	return g, err
}

// generation reads the current generation and the revision of its key.
func generation(ctx context.Context, kv jetstream.KeyValue) (uint64, uint64, error) {
	e, err := kv.Get(ctx, keyGeneration)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, 0, fmt.Errorf("%w: no generation was begun; run \"neap bootstrap\"", ErrTopology)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read the current generation: %w", silent(err))
	}
	g, err := strconv.ParseUint(string(e.Value()), 10, 64)
	if err != nil || g == 0 {
		return 0, 0, fmt.Errorf("%w: key %q of %s holds %.20q, which is no generation", fleet.ErrInvalid, keyGeneration, controlBucket, e.Value())
	}
	return g, e.Revision(), nil
}

// instancePattern is generous: EC2 writes i- and hexadecimal digits.
var instancePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func protectKey(cluster fleet.ClusterName, id fleet.InstanceID) (string, error) {
	if err := cluster.Validate(); err != nil {
		return "", err
	}
	if !instancePattern.MatchString(string(id)) {
		return "", fmt.Errorf("%w: instance %.80q: use an EC2 instance ID, such as i-0123456789abcdef0", fleet.ErrInvalid, id)
	}
	return keyProtect + "." + cluster.Key() + "." + string(id), nil
}

// Protection is why a person wants an instance kept.
type Protection struct {
	By    string    `json:"by"`
	Why   string    `json:"why"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"` // zero is until Unprotect
}

// String is the protection for people: "ann: debugging, until 2026-03-14T18:00:00Z".
func (p Protection) String() string {
	text := p.By + ": " + p.Why
	if !p.Until.IsZero() {
		text += ", until " + p.Until.UTC().Format(time.RFC3339)
	}
	return text
}

// Protect keeps an instance: Neap does not remove it of its own will until Unprotect, or
// until the protection ends.
func (c *Control) Protect(ctx context.Context, cluster fleet.ClusterName, id fleet.InstanceID, p Protection) error {
	key, err := protectKey(cluster, id)
	if err != nil {
		return err
	}
	if p.By == "" || p.Why == "" {
		return fmt.Errorf("%w: protect %s: by %q, why %q: say who does it and for what reason", fleet.ErrInvalid, id, p.By, p.Why)
	}
	p.At = time.Now().UTC()
	if !p.Until.IsZero() && !p.Until.After(p.At) {
		return fmt.Errorf("%w: protect %s: until %s, which is over", fleet.ErrInvalid, id, p.Until.UTC().Format(time.RFC3339))
	}
	return wrap(c.put(ctx, key, p), "protect %s", id)
}

// Unprotect undoes Protect. An instance that was not protected is no error.
func (c *Control) Unprotect(ctx context.Context, cluster fleet.ClusterName, id fleet.InstanceID) error {
	key, err := protectKey(cluster, id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return wrap(unsure(c.kv.Delete(ctx, key)), "unprotect %s", id)
}

// Protected returns the protected instances of a cluster and why each is, in words.
func (c *Control) Protected(ctx context.Context, cluster fleet.ClusterName) (map[fleet.InstanceID]string, error) {
	protections, err := c.Protections(ctx, cluster)
	if err != nil {
		return nil, err
	}
	words := make(map[fleet.InstanceID]string, len(protections))
	for id, p := range protections {
		words[id] = p.String()
	}
	return words, nil
}

// Protections returns the protected instances of a cluster. Those whose protection has
// ended are left out; a record that cannot be read protects.
func (c *Control) Protections(ctx context.Context, cluster fleet.ClusterName) (map[fleet.InstanceID]Protection, error) {
	if err := cluster.Validate(); err != nil {
		return nil, err
	}
	protections, now := map[fleet.InstanceID]Protection{}, time.Now()
	prefix := keyProtect + "." + cluster.Key() + "."
	err := c.list(ctx, prefix+"*", func(e jetstream.KeyValueEntry) {
		var p Protection
		id := fleet.InstanceID(strings.TrimPrefix(e.Key(), prefix))
		if err := json.Unmarshal(e.Value(), &p); err != nil {
			p = Protection{By: "somebody", Why: "the record of who and why is unreadable"}
		}
		if p.Until.IsZero() || p.Until.After(now) {
			protections[id] = p
		}
	})
	return protections, wrap(err, "list the protected instances of %s", cluster)
}

// list calls f with every present entry whose key matches.
func (c *Control) list(ctx context.Context, keys string, f func(jetstream.KeyValueEntry)) error {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	return watch(ctx, c.kv, keys, func(e jetstream.KeyValueEntry) error {
		if e == nil {
			return errStop
		}
		if e.Operation() == jetstream.KeyValuePut {
			f(e)
		}
		return nil
	})
}

func (c *Control) put(ctx context.Context, key string, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err = c.kv.Put(ctx, key, value)
	return unsure(err)
}

// get reads a key from the leader.
func (c *Control) get(ctx context.Context, key string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e, err := c.kv.Get(ctx, key)
	if err != nil {
		return translate(err)
	}
	if err := json.Unmarshal(e.Value(), into); err != nil {
		return fmt.Errorf("%w: key %s of %s: %w", fleet.ErrInvalid, key, controlBucket, err)
	}
	return nil
}

func orAll(cluster fleet.ClusterName) string {
	if cluster == AllClusters {
		return "all clusters"
	}
	return string(cluster)
}
