package bus

import (
	"context"
	"errors"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

func rollKey(cluster fleet.ClusterName) (string, error) {
	return keyRoll + "." + cluster.Key(), cluster.Validate()
}

// Roll reads the roll that a person asked for last, and whether rolls of the cluster are
// stopped. A cluster of which nobody ever asked for one has the zero roll. A record that
// cannot be understood counts as stopped.
func (c *Control) Roll(ctx context.Context, cluster fleet.ClusterName) (fleet.Roll, error) {
	key, err := rollKey(cluster)
	if err != nil {
		return fleet.Roll{}, err
	}
	var r fleet.Roll
	switch err := c.get(ctx, key, &r); {
	case errors.Is(err, fleet.ErrNotFound):
		return fleet.Roll{}, nil
	case errors.Is(err, fleet.ErrInvalid):
		return fleet.Roll{Stopped: time.Unix(0, 0).UTC()}, nil
	case err != nil:
		return fleet.Roll{}, wrap(err, "read the roll of %s", cluster)
	}
	return r, nil
}

// StartRoll asks for a roll. It takes the place of the one before.
func (c *Control) StartRoll(ctx context.Context, cluster fleet.ClusterName, r fleet.Roll) error {
	key, err := rollKey(cluster)
	if err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return wrap(err, "start a roll of %s", cluster)
	}
	r.Stopped, r.Resumed = time.Time{}, time.Time{}
	return wrap(c.put(ctx, key, r), "start a roll of %s", cluster)
}

// StopRoll stops the rolls of a cluster, those of its policy too, until ResumeRoll or
// StartRoll. What has begun to drain goes on.
func (c *Control) StopRoll(ctx context.Context, cluster fleet.ClusterName) (fleet.Roll, error) {
	return c.turnRoll(ctx, cluster, func(r *fleet.Roll) {
		if r.Stopped.IsZero() {
			r.Stopped = time.Now().UTC() // for people: nothing is decided by when
		}
	})
}

// ResumeRoll lets the rolls of a cluster go on that were stopped, or have failed. At is when,
// by the clock of AWS: failures until then are forgiven.
func (c *Control) ResumeRoll(ctx context.Context, cluster fleet.ClusterName, at time.Time) (fleet.Roll, error) {
	return c.turnRoll(ctx, cluster, func(r *fleet.Roll) { r.Stopped, r.Resumed = time.Time{}, at })
}

func (c *Control) turnRoll(ctx context.Context, cluster fleet.ClusterName, turn func(*fleet.Roll)) (fleet.Roll, error) {
	r, err := c.Roll(ctx, cluster)
	if err != nil {
		return r, err
	}
	turn(&r)
	key, err := rollKey(cluster)
	if err != nil {
		return r, err
	}
	return r, wrap(c.put(ctx, key, r), "change the roll of %s", cluster)
}
