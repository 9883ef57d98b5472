package watcher

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// How often the parts of the catalogue are read.
const (
	catalogueBeat = 10 * time.Second // of looking at what is due
	listEvery     = 12 * time.Hour   // EC2 announces types and prices days ahead
	spotEvery     = 5 * time.Minute  // spot prices move a few times a day; five minutes is what EC2 itself needs
	catalogueFail = time.Minute      // until a part that could not be read is tried again
	catalogueWait = 30 * time.Second // for the first reading; a cluster without prices is better than none
	catalogueKept = 7 * 24 * time.Hour
)

// catalogue is what EC2 sells in the region, as it was last read: for all clusters, and of
// each part the last good reading.
type catalogue struct {
	reader  *cloud.Reader
	store   *store
	region  string
	now     func() time.Time // of AWS
	log     *slog.Logger
	changed func()
	tried   chan struct{} // closed when it was read, or could not be, for the first time
	once    sync.Once

	mu      sync.Mutex
	kept    keptCatalogue
	listDue time.Time // local, as spotDue
	spotDue time.Time
	problem string // why the newest reading failed, for what was never read
	failing bool   // and that was said
}

// keptCatalogue is the catalogue as it is cached.
type keptCatalogue struct {
	Types  []snapshot.InstanceType `json:"types"`
	Offers []snapshot.Offer        `json:"offers"`
	Prices []snapshot.Price        `json:"prices"`
	Spot   []snapshot.SpotPrice    `json:"spot"`
	ListAt time.Time               `json:"listAt,omitzero"` // by the clock of AWS, as SpotAt
	SpotAt time.Time               `json:"spotAt,omitzero"`
	Listed time.Time               `json:"listed,omitzero"` // by the local clock
}

// load takes over what another process has read lately, so that a restart costs no reads.
func (c *catalogue) load(ctx context.Context) {
	kept, ok := c.store.catalogue(ctx, c.region)
	if !ok || len(kept.Types) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.once.Do(func() { close(c.tried) })
	c.kept = kept
	c.listDue = kept.Listed.Add(jittered(listEvery))
}

// first waits for the first reading, though not for ever.
func (c *catalogue) first(ctx context.Context) {
	timer := time.NewTimer(catalogueWait)
	defer timer.Stop()
	select {
	case <-c.tried:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// refresh reads the parts that are due. What cannot be read is kept as it was and tried
// again before long.
func (c *catalogue) refresh(ctx context.Context) error {
	var err error
	list, spot := c.due(time.Now())
	if list {
		err = c.readList(ctx)
	}
	if spot && ctx.Err() == nil {
		if spotErr := c.readSpot(ctx); err == nil {
			err = spotErr
		}
	}
	if (list || spot) && ctx.Err() == nil {
		c.judge(ctx, err)
		c.once.Do(func() { close(c.tried) })
		c.store.keepCatalogue(ctx, c.region, c.copy())
		c.changed()
	}
	return nil
}

func (c *catalogue) due(now time.Time) (list, spot bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !now.Before(c.listDue), !now.Before(c.spotDue)
}

// readList reads types, zones and on-demand prices. Of these the last good ones are kept
// each by itself: a price list that cannot be read takes nothing away from the types.
func (c *catalogue) readList(ctx context.Context) error {
	types, errTypes := c.reader.Types(ctx)
	offers, errOffers := c.reader.Offers(ctx)
	prices, errPrices := c.reader.OnDemandPrices(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	keep(&c.kept.Types, types, errTypes)
	keep(&c.kept.Offers, offers, errOffers)
	keep(&c.kept.Prices, prices, errPrices)
	for _, err := range []error{errTypes, errOffers, errPrices} {
		if err != nil {
			c.listDue = time.Now().Add(jittered(catalogueFail))
			return err
		}
	}
	c.kept.ListAt, c.kept.Listed = c.now(), time.Now()
	c.listDue = c.kept.Listed.Add(jittered(listEvery))
	return nil
}

func (c *catalogue) readSpot(ctx context.Context) error {
	spot, err := c.reader.SpotPrices(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	keep(&c.kept.Spot, spot, err)
	if err != nil {
		c.spotDue = time.Now().Add(jittered(catalogueFail))
		return err
	}
	c.kept.SpotAt = c.now()
	c.spotDue = time.Now().Add(jittered(spotEvery))
	return nil
}

// keep replaces what is known by what was read, unless that failed.
func keep[T any](known *[]T, read []T, err error) {
	if err == nil {
		*known = read
	}
}

// judge says once that the catalogue cannot be read, and once that it can be again.
func (c *catalogue) judge(ctx context.Context, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problem = ""
	if err != nil {
		c.problem = err.Error()
	}
	if c.failing == (err != nil) {
		return
	}
	c.failing = err != nil
	if c.failing {
		c.log.WarnContext(ctx, "catalogue not read, the last one is used", "err", err)
		return
	}
	c.log.InfoContext(ctx, "catalogue is read again")
}

func (c *catalogue) copy() keptCatalogue {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept
}

// current is the catalogue as a section. It is complete once types, zones and prices were
// read, however long ago: what EC2 sells changes slowly, and a price that is a day old is
// nearly right. Spot prices that were never read count as unknown, type by type.
func (c *catalogue) current() snapshot.Catalogue {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &c.kept
	out := snapshot.Catalogue{Types: k.Types, Offers: k.Offers, Prices: k.Prices, Spot: k.Spot}
	out.StartedAt, out.ReadAt = k.ListAt, k.ListAt
	switch {
	case k.ListAt.IsZero() && c.problem != "":
		out.Fail(c.problem)
	case k.ListAt.IsZero():
		out.Fail("it is being read for the first time")
	default:
		out.Complete = true
	}
	if !k.SpotAt.IsZero() && k.SpotAt.After(out.ReadAt) {
		out.ReadAt = k.SpotAt
	}
	return out
}
