package watcher

import (
	"context"
	"time"
)

// impairedEvery is how long what was read of status checks is used: EC2 makes them once a
// minute.
const impairedEvery = time.Minute

// impaired are the instances of which a status check of EC2 fails. If that cannot be read
// none are: what is not known to be ill is not replaced for it.
func (w *Watcher) impaired(ctx context.Context, s *site) []string {
	if time.Now().Before(s.impairedDue) {
		return s.impaired
	}
	ids, err := w.reader.Impaired(ctx)
	if err != nil {
		if s.changed("status checks", "unread") {
			w.proc.Log.WarnContext(ctx, "status checks not read, instances count as healthy; allow ec2:DescribeInstanceStatus if that is why", "cluster", s.cluster, "err", err)
		}
		s.impaired, s.impairedDue = nil, time.Time{} // at the next beat again
		return nil
	}
	s.changed("status checks", "")
	s.impaired, s.impairedDue = ids, time.Now().Add(jittered(impairedEvery))
	return ids
}
