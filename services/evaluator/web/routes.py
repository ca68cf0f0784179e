"""The pages of the evaluator, in the order in which their paths are tried."""

from services.evaluator.web.drafter_details import router as details
from services.evaluator.web.drafter_list import router as drafter_list
from services.evaluator.web.evaluation import router as evaluation
from services.evaluator.web.evaluation_sets import router as sets
from services.evaluator.web.trial import router as trial
from services.evaluator.web.workbench import router as workbench

# Details last: a move is /drafters/{digest}/{move}.
pages = (drafter_list, sets, evaluation, workbench, trial, details)
