// Package service is the frame every Neap process stands in: configuration
// from the environment, structured logs, OpenTelemetry, health endpoints,
// signals and exit codes. A service brings a Config type and a run function;
// everything that is the same for all of them is here.
//
//	func main() { service.Main("planner", run) }
//
//	func run(ctx context.Context, p *service.Process, cfg planner.Config) error {
//		b, err := bus.Open(ctx, cfg.Bus)
//		if err != nil {
//			return err
//		}
//		p.Defer(b.Close)
//		p.Health.Check("nats", b.Ping)
//		return p.Every(ctx, "plan", cfg.Beat, b.Wake(), planner.New(cfg, b, p.Log).Turn)
//	}
//
// The same process can be built without Main: New makes one, and Part gives
// each service of the one-process mode its own name, log and health.
package service
