package bus

import (
	"bytes"
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/neap-project/neap/libs/fleet"
)

// KeepRecord stores what a plan was made from, for a week or until the space is needed for newer
// ones. Nothing depends on it: it is for those who want to make the plan again.
func (b *Bus) KeepRecord(ctx context.Context, r *fleet.Record) error {
	what := func(err error) error { return wrap(err, "keep the record of plan %s of %s", r.Plan.Short(), r.Cluster) }
	if b.records == nil {
		return what(missing(recordBucket(b.generation), jetstream.ErrBucketNotFound))
	}
	if err := b.belongs(kindRecord, r.Generation); err != nil {
		return what(err)
	}
	encoded, err := fleet.Encode(r)
	if err != nil {
		return what(err)
	}
	content := compress(encoded)
	if len(content) > maxCompressed {
		return what(fmt.Errorf("%w: %d bytes compressed; readers take %d", fleet.ErrInvalid, len(content), maxCompressed))
	}
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	_, err = b.records.Put(ctx, jetstream.ObjectMeta{Name: recordName(r.Cluster, r.Plan)}, bytes.NewReader(content))
	return what(unsure(err))
}

// Record reads what a plan was made from. [fleet.ErrNotFound]: nothing was kept, or no longer.
func (b *Bus) Record(ctx context.Context, cluster fleet.ClusterName, id fleet.PlanID) (fleet.Record, error) {
	r, err := b.record(ctx, cluster, id)
	return r, wrap(err, "record of plan %s of %s", id.Short(), cluster)
}

func (b *Bus) record(ctx context.Context, cluster fleet.ClusterName, id fleet.PlanID) (fleet.Record, error) {
	if b.records == nil {
		return fleet.Record{}, fmt.Errorf("%w: this installation keeps none; run \"neap bootstrap\", then planners do", fleet.ErrNotFound)
	}
	content, err := object(ctx, b.records, recordName(cluster, id))
	if err != nil {
		return fleet.Record{}, err
	}
	encoded, err := decompress(content)
	if err != nil {
		return fleet.Record{}, err
	}
	r, err := fleet.Decode[fleet.Record](encoded)
	if err == nil && (r.Cluster != cluster || r.Plan != id) {
		err = fmt.Errorf("%w: it is about plan %s of %s", fleet.ErrInvalid, r.Plan.Short(), r.Cluster)
	}
	return r, err
}

func recordName(cluster fleet.ClusterName, id fleet.PlanID) string {
	return cluster.Key() + "/" + string(id)
}
