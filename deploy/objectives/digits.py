"""An objective that a study can name as `digits:train`: the service's workers find it in their folder."""

import rung

space = {"learning_rate": rung.Float(1e-3, 1.0, log=True), "leaves": rung.Integer(4, 64, log=True)}
resource = ("trees", 10, 270)


def train(config, budget):
    """Boosted trees on handwritten digits; `budget` is the number of trees."""
    from lightgbm import LGBMClassifier
    from sklearn.datasets import load_digits
    from sklearn.model_selection import cross_val_score

    images, digits = load_digits(return_X_y=True)
    model = LGBMClassifier(
        n_estimators=budget,
        learning_rate=config["learning_rate"],
        num_leaves=config["leaves"],
        verbose=-1,
    )
    return 1.0 - cross_val_score(model, images, digits, cv=3).mean()
