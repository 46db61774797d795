"""Training of Seashore's models: phantoms, counterfactuals, fitting, export. Never imported by `service`."""
