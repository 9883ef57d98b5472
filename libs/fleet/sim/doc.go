// Package sim is a simulated ECS and EC2: the world that an autoscaler sees through AWS's
// APIs, in virtual time, from one seed.
//
// A [World] answers the operations of ECS, EC2, SSM, Pricing and SQS that an autoscaler
// uses. Operations, inputs and outputs have AWS's names; json and xml tags on the fields
// give AWS's wire names, so that an HTTP face needs no second vocabulary. Nothing happens
// but in an operation or in [World.Advance], which runs what falls due: instances boot and
// register, services start and stop tasks, spot instances are taken. The same seed and the
// same calls give the same history, byte for byte.
//
// Beside AWS's operations there is a side door to play with: shortages, interruptions,
// lost events, load ([World.SetShortage] and its neighbours), a small language for all of
// that ([ParseScript]), and the true state with its invariants ([World.Truth]).
//
// A World is not safe for concurrent use: callers lock, and are done with an answer when
// they unlock, for answers share memory with the world and must not be changed. It never
// reads a clock.
//
// Where to find what: an operation stands in the file named after its subject: cluster,
// definition, service, update_service, deployment_api, task_api, runtask, host_api, provider
// (ECS); run_instances, fleetlaunch, template, describe_ec2, terminate, power, offers (EC2);
// autoscaling; image, pricing, queue_sqs, eventbridge. Their inputs and outputs are in types_*.
//
// What happens by itself is in scheduler, deployment, rebalance, daemon, victims, health and
// failure (services), managed and provisioning (capacity providers), task, host, boot,
// registration and agent (tasks and instances), machine, spot, zone and consistency (EC2),
// events and eventfaults (what is told of it), and queue (what falls due). limits and outage
// are the account's troubles. The side door is control, script, statement_*, truth, history
// and saved_*.
package sim
