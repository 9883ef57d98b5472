package watcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/cloud"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// How often the parts of the catalogue are read.
const (
	catalogueBeat = 10 * time.Second // of looking at what is due
	listEvery     = 12 * time.Hour   // EC2 announces types and prices days ahead
	spotEvery     = 5 * time.Minute  // spot prices move a few times a day; five minutes is what EC2 itself needs
	catalogueFail = time.Minute      // until a part that could not be read is tried again
	catalogueWait = 30 * time.Second // for the first reading; a cluster without prices is better than none
	catalogueDays = 7                // that a part is found in the cache after it was read
)

// catalogue is what EC2 sells in the region: for all clusters, and of each part the last
// good reading, by whichever replica it was made. The first one reads a part when it is due
// and leaves it in the cache; the others take it from there.
type catalogue struct {
	store   *store
	region  string
	now     func() time.Time // of AWS
	log     *slog.Logger
	changed func()
	tried   chan struct{} // closed when it was read, or could not be, for the first time
	once    sync.Once

	// One refresh at a time; mu is for those who want to know what is known.
	types  part[snapshot.InstanceType]
	offers part[snapshot.Offer]
	prices part[snapshot.Price]
	spot   part[snapshot.SpotPrice]
	mu     sync.Mutex

	// What instances cost with Windows, if a policy has any.
	wantsWindows func() bool
	windows      part[snapshot.Price]
	windowsSpot  part[snapshot.SpotPrice]
}

// part is one part of the catalogue.
type part[T any] struct {
	name    string
	every   time.Duration
	read    func(context.Context) ([]T, error)
	kept    keptPart[T]
	due     time.Time // local
	problem string    // why the newest reading failed
}

// keptPart is a part as it is cached.
type keptPart[T any] struct {
	Rows []T       `json:"rows"`
	At   time.Time `json:"at"`   // by the clock of AWS
	Read time.Time `json:"read"` // by the local clock
}

func newCatalogue(w *Watcher) *catalogue {
	r := w.reader
	return &catalogue{
		store: w.store, region: w.account.Region(), now: w.account.Now, log: w.proc.Log, changed: w.ringAll, tried: make(chan struct{}),
		types:  part[snapshot.InstanceType]{name: "types", every: listEvery, read: r.Types},
		offers: part[snapshot.Offer]{name: "offers", every: listEvery, read: r.Offers},
		prices: part[snapshot.Price]{name: "prices", every: listEvery, read: r.OnDemandPrices},
		spot:   part[snapshot.SpotPrice]{name: "spot", every: spotEvery, read: r.SpotPrices},

		wantsWindows: w.wantsWindows,
		windows:      part[snapshot.Price]{name: "windows-prices", every: listEvery, read: r.WindowsPrices},
		windowsSpot:  part[snapshot.SpotPrice]{name: "windows-spot", every: spotEvery, read: r.WindowsSpotPrices},
	}
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
	news := refreshPart(ctx, c, &c.types)
	news = refreshPart(ctx, c, &c.offers) || news
	news = refreshPart(ctx, c, &c.prices) || news
	news = refreshPart(ctx, c, &c.spot) || news
	if c.wantsWindows() {
		news = refreshPart(ctx, c, &c.windows) || news
		news = refreshPart(ctx, c, &c.windowsSpot) || news
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // stopping: what failed says nothing about AWS
	}
	c.once.Do(func() { close(c.tried) })
	if news {
		c.changed()
	}
	return nil
}

// refreshPart reads a part if it is due and no replica has done so lately. It reports
// whether there is anything new to tell.
func refreshPart[T any](ctx context.Context, c *catalogue, p *part[T]) bool {
	if time.Now().Before(p.due) || ctx.Err() != nil {
		return false
	}
	kept, ok := loadPart(ctx, c, p)
	if ok && time.Since(kept.Read).Abs() < p.every-p.every/5 { // replicas do not keep step: see jittered
		c.take(ctx, func() { p.kept, p.due = kept, kept.Read.Add(jittered(p.every)) }, &p.problem, p.name, nil)
		return true
	}
	rows, err := p.read(ctx)
	if err == nil && len(rows) == 0 {
		err = errors.New("the answer is empty")
	}
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		c.take(ctx, func() {
			if ok && kept.Read.After(p.kept.Read) {
				p.kept = kept
			}
			p.due = time.Now().Add(jittered(catalogueFail))
		}, &p.problem, p.name, err)
		return true
	}
	kept = keptPart[T]{Rows: rows, At: c.now(), Read: time.Now()}
	c.take(ctx, func() { p.kept, p.due = kept, kept.Read.Add(jittered(p.every)) }, &p.problem, p.name, nil)
	cache.Set(ctx, c.store.cache, partKey(c.region, p.name, kept.Read), kept, catalogueDays*24*time.Hour)
	return true
}

// partKey is where a part is cached that was read on a day.
func partKey(region, name string, day time.Time) string {
	return "catalogue:" + region + ":" + name + ":" + day.UTC().Format(time.DateOnly)
}

// loadPart finds the newest reading of a part in the cache.
func loadPart[T any](ctx context.Context, c *catalogue, p *part[T]) (keptPart[T], bool) {
	now := time.Now()
	for days := range catalogueDays {
		kept, ok := cache.Get[keptPart[T]](ctx, c.store.cache, partKey(c.region, p.name, now.AddDate(0, 0, -days)))
		if ok && len(kept.Rows) > 0 {
			return kept, true
		}
		if p.kept.Read.After(now.AddDate(0, 0, -days-1)) {
			break // what is known is as new as what is older still
		}
	}
	return keptPart[T]{}, false
}

// take applies what came of a reading, and says once that a part cannot be read and once
// that it can be again.
func (c *catalogue) take(ctx context.Context, apply func(), problem *string, name string, err error) {
	c.mu.Lock()
	apply()
	failed := *problem != ""
	*problem = ""
	if err != nil {
		*problem = err.Error()
	}
	c.mu.Unlock()
	switch {
	case err != nil && !failed:
		c.log.WarnContext(ctx, "part of the catalogue not read, the last one is used, or else the embedded one", "part", name, "err", err)
	case err == nil && failed:
		c.log.InfoContext(ctx, "part of the catalogue is read again", "part", name)
	}
}

// current is the catalogue as a section, for a cluster in these zones. It is complete
// whatever could be read: the last good reading of each part stands in for a newer one, for
// what EC2 sells changes slowly and a price that is a day old is nearly right; and where
// there is none, the embedded table. The section says so. Spot prices that were never read
// count as unknown, type by type, and so do all prices of Windows, of which the embedded
// table has none.
func (c *catalogue) current(zones []string, system fleet.OperatingSystem) snapshot.Catalogue {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := snapshot.Catalogue{Types: c.types.kept.Rows, Offers: c.offers.kept.Rows, Prices: c.prices.kept.Rows, Spot: c.spot.kept.Rows}
	out.Complete = true
	embedded := cloud.EmbeddedCatalogue()
	var notes []string
	note := func(p string, problem string, at time.Time, standIn string) {
		if at.IsZero() {
			notes = append(notes, fmt.Sprintf("%s: %s stand in (%s)", p, standIn, cmp.Or(problem, "they are being read for the first time")))
		} else if problem != "" {
			notes = append(notes, fmt.Sprintf("%s: those of %s stand in (%s)", p, at.UTC().Format(time.RFC3339), problem))
		}
	}
	note("types", c.types.problem, c.types.kept.At, "embedded ones of "+embedded.Date)
	note("zones", c.offers.problem, c.offers.kept.At, "all that the policy names")
	note("prices", c.prices.problem, c.prices.kept.At, "embedded ones of "+embedded.Region+" of "+embedded.Date)
	note("spot prices", c.spot.problem, c.spot.kept.At, "none")
	if system == fleet.Windows {
		note("prices of Windows", c.windows.problem, c.windows.kept.At, "none")
		note("spot prices of Windows", c.windowsSpot.problem, c.windowsSpot.kept.At, "none")
	}
	out.Problem = strings.Join(notes, "; ")
	if c.types.kept.At.IsZero() {
		out.Types = embedded.Types
	}
	if c.prices.kept.At.IsZero() {
		out.Prices = embedded.Prices
	}
	if system == fleet.Windows {
		out.Prices, out.Spot = slices.Concat(out.Prices, c.windows.kept.Rows), slices.Concat(out.Spot, c.windowsSpot.kept.Rows)
	}
	if c.offers.kept.At.IsZero() {
		for i := range out.Types {
			for _, zone := range zones {
				out.Offers = append(out.Offers, snapshot.Offer{Type: out.Types[i].Name, Zone: zone})
			}
		}
	}
	if len(out.Offers) == 0 {
		out.Fail("no zone is known: neither what EC2 sells where nor the subnets of the policy could be read; " + out.Problem)
	}
	for _, at := range [...]time.Time{c.types.kept.At, c.offers.kept.At, c.prices.kept.At, c.spot.kept.At} {
		if at.After(out.ReadAt) {
			out.ReadAt = at
		}
	}
	out.StartedAt = out.ReadAt
	return out
}
